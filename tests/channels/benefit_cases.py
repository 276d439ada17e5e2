"""The cases of benefits and endpoints for the suite of every channel; and the keys of a made-up merchant."""

import datetime as dt
import ipaddress
import time
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from channels.benefits.http import HttpBenefit
from channels.benefits.wechatpay import WeChatPayCoupon
from channels.endpoint import HttpEndpoint
from channels.loopback.benefit import BenefitVendor, EndpointVendor
from channels.loopback.wechatpay import Stock, WeChatPayVendor
from tests.channels.cases import NOW, ChannelCase, message

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the specification's own example
OTHER_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
LOCAL = ("127.0.0.1",)
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


def fixed():
    return NOW


def real():
    """wechatpayv3 signs by the machine's own clock."""
    return int(time.time() * 1000)


@cache
def key_pair(name):
    """(private, public) as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def self_signed(folder):
    """The files of a certificate of 127.0.0.1, which nobody trusts, and of its key."""
    private = key_pair("a server")[0]
    key = load_pem_private_key(private.encode(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(today - dt.timedelta(days=1)).not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_text(private)
    return folder / "cert.pem", folder / "key.pem"


def wechatpay_vendor(**stocks):
    return WeChatPayVendor(
        mchid="1900000109", appid="wxd678efh567hg6787", serial_no="5157F09EFDC096DE15EBE81A47057A72", merchant_key=key_pair("merchant")[1],
        platform_key=key_pair("platform")[0], public_key_id="PUB_KEY_ID_0119", stocks=stocks or {"9856000": Stock()}, clock=real,
    )  # fmt: skip


def wechatpay(url, merchant="merchant", **changes):
    values = {
        "mchid": "1900000109", "appid": "wxd678efh567hg6787", "stock_id": "9856000", "stock_creator_mchid": "1900000109",
        "serial_no": "5157F09EFDC096DE15EBE81A47057A72", "private_key": key_pair(merchant)[0], "apiv3_key": "k" * 32,
        "public_key": key_pair("platform")[1], "public_key_id": "PUB_KEY_ID_0119", "clock": real, "base_url": url, "timeout": 0.5,
    }  # fmt: skip
    return WeChatPayCoupon(**values | changes)


def benefit(url, secret=SECRET, **changes):
    values = {"benefit": "points", "clock": fixed, "timeout": 0.5, "allowed": LOCAL, "plain_http": True} | changes
    return HttpBenefit(url=f"{url}/grants", secret=secret, **values)


def endpoint(url, secret=SECRET, **changes):
    values = {"name": "group_status", "answer": {"missing": "number"}, "clock": fixed, "timeout": 0.5, "allowed": LOCAL, "plain_http": True}
    return HttpEndpoint(url=f"{url}/group", secret=secret, **values | changes)


GRANT = message("points", OPENID, {"benefit": "points", "amount": 30, "expires_at": NOW + 86_400_000}, kind="grant")
CALL = message("group_status", "", {"group_id": "g1"}, kind="call")

CASES = [
    ChannelCase("benefit", lambda: BenefitVendor(SECRET, fixed, {"points": 1000}), benefit, lambda url: benefit(url, OTHER_SECRET), GRANT),
    ChannelCase("wechatpay", wechatpay_vendor, wechatpay, lambda url: wechatpay(url, "a stranger"), GRANT),
    ChannelCase("endpoint", lambda: EndpointVendor(SECRET, fixed, {"missing": 2}), endpoint, lambda url: endpoint(url, OTHER_SECRET), CALL),
]
