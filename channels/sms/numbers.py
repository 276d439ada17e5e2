"""Phone numbers as vendors want them. Which numbers exist is `phonenumbers`' knowledge, never ours."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

MOBILE_TYPES = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})  # North America does not tell the two apart


def mobile_number(text: str, region: str = "CN") -> str | None:
    """The number in E.164 (+8613800138000); None for a landline, an impossible number, a wrong length, or any other text.

    A number without a country belongs to `region`. Spaces, dashes, full-width digits, 86, 0086 and a leading 0 are all read.
    """
    if any(letter.isalpha() for letter in text):  # phonenumbers would dial the letters of 1-800-FLOWERS
        return None
    number = _parsed(text, region)
    if number is None or number.extension or phonenumbers.number_type(number) not in MOBILE_TYPES:
        return None  # a number that cannot exist is of no type
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def is_number(text: str, region: str = "CN") -> bool:
    """Whether a text may be somebody's phone number, a landline's or one of no mobile range that is known yet among them.

    Of short codes (10086) and local numbers without their area nobody can be reached from elsewhere.
    """
    if any(letter.isalpha() for letter in text):
        return False
    number = _parsed(text, region)
    return number is not None and phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def parts(number: str) -> tuple[str, str]:
    """Country and national number of an E.164 number: +8613800138000 is ("86", "13800138000")."""
    parsed = _parsed(number, None)
    if parsed is None:
        return "", number.removeprefix("+")
    return str(parsed.country_code), phonenumbers.national_significant_number(parsed)


def for_aliyun(number: str) -> str:
    """Eleven digits for the Chinese mainland, country and number without a plus for all others (85251234567): SendSms' own form."""
    country, national = parts(number)
    return national if country == "86" else country + national


def from_parts(country: str, national: str) -> str | None:
    """The E.164 number of a country code and a national number, as Tencent's callbacks give them; None when it is no mobile's."""
    country = country.strip().lstrip("+0")
    national = national.strip()
    return mobile_number(national if national.startswith("+") or not country else f"+{country}{national}")


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None
