"""Push notifications to phones: JPush for mainland China, FCM for everywhere else."""
