"""The services of journeyd: a pure core (decide, policy, enrol, profile), a store, and thin edges around them."""
