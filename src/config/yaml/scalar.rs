//! What an unquoted scalar is.

use serde_json::Number;

use super::Kind;

/// Reads an unquoted scalar by the YAML 1.2 core schema, less the numbers with leading zeros.
///
/// Gives the reason when it is a number that JSON can't carry.
pub(super) fn plain(text: &str) -> Result<Kind, &'static str> {
    Ok(match text {
        "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Err("JSON has no NaN"),
        _ => match number(text)? {
            Some(number) => Kind::Number(number),
            None => Kind::String(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Result<Option<Number>, &'static str> {
    const TOO_LARGE: &str = "too large to be kept exactly";
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => ("-", text.get(1..)),
        [b'+', ..] => ("", text.get(1..)),
        _ => ("", Some(text)),
    };
    let digits = digits.unwrap_or_default();
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Err("JSON has no infinity");
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|it| it.is_digit(radix)) {
                return Ok(None);
            }
            let number = u64::from_str_radix(digits, radix).map_err(|_| TOO_LARGE)?;
            return Ok(Some(number.into()));
        }
    }

    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let exponent_digits = exponent.map(|it| it.strip_prefix(['-', '+']).unwrap_or(it));
    let is_number = all_digits(whole)
        && fraction.is_none_or(all_digits)
        && exponent_digits.is_none_or(|it| !it.is_empty() && all_digits(it))
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
    // A leading zero marks an identifier, such as an account or a telephone number.
    if !is_number || (whole.len() > 1 && whole.starts_with('0')) {
        return Ok(None);
    }

    let plain = format!("{sign}{digits}");
    if fraction.is_none() && exponent.is_none() {
        let signed = plain.parse::<i64>().map(Number::from);
        let number = signed.or_else(|_| plain.parse::<u64>().map(Number::from));
        return number.map(Some).map_err(|_| TOO_LARGE);
    }
    let number = plain.parse::<f64>().ok().and_then(Number::from_f64);
    number.map(Some).ok_or(TOO_LARGE)
}
