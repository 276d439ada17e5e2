"""What each vendor's marketing messages may not do. Data only; texts of law and of vendors change: each rule names its source.

Huawei alone also forbids 团购(会): there is no adapter for it. Notices (提货, 成团, 发货) are no marketing, and these rules are not theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from types import MappingProxyType

REFUSE = "拒收请回复R"

COUPONS = ("优惠券", "代金券", "抵用券", "折扣券", "满减券", "红包")
WIN_BACK = ("召回", "回归", "好久不见", "好久没来", "想你了")
NEW_USERS = ("拉新", "邀请好友", "邀新", "新人专享", "新用户专享")
MINI_PROGRAM = ("小程序", "公众号")
FINANCE = ("贷款", "借款", "理财", "股票", "信用卡", "保险")
GAMES = ("游戏", "棋牌", "彩票")
SOCIAL = ("交友", "相亲")


@dataclass(frozen=True, slots=True)
class SmsRules:
    """A vendor's rules for marketing.

    `earliest` and `latest` are local to Asia/Shanghai: allowed is earliest <= now < latest. `variables`: whether a marketing template
    may have any. `endings`: one of them must end the text (empty: none required). `forbidden`: a use the vendor bans, and words that
    give it away. `why` names the sources, for the person who reads the finding.
    """

    earliest: time
    latest: time
    variables: bool
    endings: tuple[str, ...]
    forbidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""

    def uses(self, text: str) -> tuple[str, ...]:
        """The forbidden uses that the text looks like; a person decides whether it is one."""
        return tuple(use for use, words in self.forbidden.items() if any(word in text for word in words))

    def ends_well(self, text: str) -> bool:
        """Whether the text ends as required; punctuation and spaces after the ending do not matter."""
        bare = text.rstrip(" \t\n。.!！)）】")
        return not self.endings or bare.endswith(self.endings)


# China Telecom takes no marketing from 22:00 to 8:00, whoever the vendor is.
_DAY = (time(8), time(22))

RULES: Mapping[str, SmsRules] = MappingProxyType(
    {
        "aliyun": SmsRules(
            *_DAY, variables=True, endings=(REFUSE,),
            forbidden={"金融": FINANCE, "游戏": GAMES, "社交": SOCIAL},
            why="help.aliyun.com/document_detail/91975 (ending, banned trades); carriers' night limit 22-8",
        ),
        "tencent": SmsRules(
            *_DAY, variables=False, endings=(REFUSE,),
            forbidden={"优惠券类推广": COUPONS, "用户召回": WIN_BACK, "用户拉新": NEW_USERS, "公众号或小程序推广": MINI_PROGRAM},
            why="cloud.tencent.com/document/product/382/39023 (2025-06); codes MarketingSendTimeConstraint, UnsupportedTemplateVariable",
        ),
        "twilio": SmsRules(
            *_DAY, variables=True, endings=(REFUSE, "Reply STOP to unsubscribe", "Text STOP to opt out"),
            why="通信短信息服务管理规定: an easy way to refuse in the message; carriers' night limit 22-8",
        ),
        "recording": SmsRules(
            *_DAY, variables=True, endings=(REFUSE,),
            why="通信短信息服务管理规定: an easy way to refuse in the message; what every vendor's night limit has in common",
        ),
    }
)  # fmt: skip
