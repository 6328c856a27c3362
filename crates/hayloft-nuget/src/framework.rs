use std::fmt;
use std::str::FromStr;

/// A target framework moniker, short as in `net6.0-windows` or long as in
/// `.NETFramework,Version=v4.5`.
///
/// Displays in one form for all spellings of a framework: identifier, version without trailing
/// zeros, profile or platform, in lower case.
///
/// Rule: <https://learn.microsoft.com/nuget/reference/target-frameworks>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFramework(Box<str>);

/// Text is not a target framework that clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a target framework that clients know")]
pub struct TargetFrameworkError;

/// Long identifiers with all their short ones.
const FRAMEWORKS: [(&str, &[&str]); 37] = [
    (".netframework", &["net"]),
    (".netcoreapp", &["netcoreapp"]),
    (".netstandard", &["netstandard"]),
    (".netstandardapp", &["netstandardapp"]),
    (".netplatform", &["dotnet"]),
    (".netcore", &["netcore", "winrt"]),
    (".netmicroframework", &["netmf"]),
    (".netportable", &["portable"]),
    ("silverlight", &["sl"]),
    ("windows", &["win", "windows"]),
    ("windowsphone", &["wp", "windowsphone"]),
    ("windowsphoneapp", &["wpa"]),
    ("uap", &["uap"]),
    ("winrt", &[]),
    ("tizen", &["tizen"]),
    ("asp.net", &["aspnet"]),
    ("asp.netcore", &["aspnetcore"]),
    ("dnx", &["dnx"]),
    ("dnxcore", &["dnxcore"]),
    ("native", &["native"]),
    ("monoandroid", &["monoandroid"]),
    ("monotouch", &["monotouch"]),
    ("monomac", &["monomac"]),
    ("xamarin.ios", &["xamarinios"]),
    ("xamarin.mac", &["xamarinmac"]),
    ("xamarin.playstation3", &["xamarinpsthree"]),
    ("xamarin.playstation4", &["xamarinpsfour"]),
    ("xamarin.playstationvita", &["xamarinpsvita"]),
    ("xamarin.tvos", &["xamarintvos"]),
    ("xamarin.watchos", &["xamarinwatchos"]),
    ("xamarin.xbox360", &["xamarinxboxthreesixty"]),
    ("xamarin.xboxone", &["xamarinxboxone"]),
    (".netnanoframework", &["netnano"]),
    ("any", &["any"]),
    ("agnostic", &["agnostic"]),
    ("unsupported", &["unsupported"]),
    ("nanoframework", &[]),
];

impl FromStr for TargetFramework {
    type Err = TargetFrameworkError;

    fn from_str(text: &str) -> Result<Self, TargetFrameworkError> {
        let text = text.trim().to_ascii_lowercase();
        let parts = if text.contains(',') { long(&text) } else { long_without_commas(&text) };
        let (identifier, version, profile) =
            parts.or_else(|| short(&text)).ok_or(TargetFrameworkError)?;
        // From version 5 on, the short name of .NET Core is that of .NET Framework.
        let modern =
            identifier == ".netframework" && version.first().is_some_and(|major| *major >= 5);
        let identifier = if modern { ".netcoreapp" } else { identifier };
        let numbers: Vec<String> = version.iter().map(ToString::to_string).collect();
        Ok(Self(format!("{identifier}{}-{profile}", numbers.join(".")).into()))
    }
}

impl fmt::Display for TargetFramework {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.trim_end_matches('-'))
    }
}

type Parts = (&'static str, Vec<u32>, String);

/// `.NETFramework,Version=v4.0,Profile=Client`
fn long(text: &str) -> Option<Parts> {
    let mut parts = text.split(',').map(str::trim);
    let name = parts.next()?;
    let identifier = identifier_of(name)?;
    let (mut version, mut profile) = (Vec::new(), "");
    for part in parts {
        let (key, value) = part.split_once('=')?;
        match key.trim() {
            "version" => version = numbers(value.trim().trim_start_matches('v'))?,
            "profile" => profile = value.trim(),
            _ => return None,
        }
    }
    Some((identifier, version, profile.to_owned()))
}

/// `.NETFramework4.5`, `.NETFramework4.0-Client`
fn long_without_commas(text: &str) -> Option<Parts> {
    // Some identifiers end in a digit.
    if let Some(identifier) = identifier_of(text) {
        return Some((identifier, Vec::new(), String::new()));
    }
    let (name, profile) = text.split_once('-').unwrap_or((text, ""));
    let (name, version) =
        name.split_at_checked(name.find(|letter: char| letter.is_ascii_digit())?)?;
    Some((identifier_of(name)?, numbers(version)?, profile.to_owned()))
}

fn identifier_of(name: &str) -> Option<&'static str> {
    FRAMEWORKS.iter().map(|(long, _)| *long).find(|long| *long == name)
}

/// `net45`, `net40-client`, `net6.0-windows7.0`, `portable-net45+win8`
fn short(text: &str) -> Option<Parts> {
    let (name, profile) = text.split_once('-').unwrap_or((text, ""));
    let digits = name.find(|letter: char| letter.is_ascii_digit()).unwrap_or(name.len());
    let (name, version) = name.split_at_checked(digits)?;
    let (identifier, _) =
        FRAMEWORKS.iter().find(|(long, short)| short.contains(&name) || *long == name)?;
    if *identifier == ".netportable" {
        let mut members = profile
            .split('+')
            .map(|member| member.parse().map(|known: TargetFramework| known.to_string()))
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        members.sort_unstable();
        return Some((identifier, short_numbers(version)?, members.join("+")));
    }
    Some((identifier, short_numbers(version)?, profile.to_owned()))
}

/// `45` is 4.5; with dots the numbers are as written.
fn short_numbers(text: &str) -> Option<Vec<u32>> {
    if text.contains('.') {
        return numbers(text);
    }
    let dotted: Vec<String> = text.chars().map(String::from).collect();
    if dotted.is_empty() { Some(Vec::new()) } else { numbers(&dotted.join(".")) }
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    let mut numbers =
        text.split('.').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::short_and_long(&["net45", "Net45", ".NETFramework4.5", ".NETFramework,Version=v4.5"])]
    #[case::trailing_zeros(&["net40", "net4.0", "net400", ".NETFramework4.0"])]
    #[case::profile(&["net40-client", ".NETFramework,Version=v4.0,Profile=Client"])]
    #[case::five_and_later(&["net6.0", "netcoreapp6.0", ".NETCoreApp6.0"])]
    #[case::platform(&["net6.0-windows7.0", "NET6.0-Windows7.0"])]
    #[case::two_digits(&["net10.0"])]
    #[case::standard(&["netstandard2.0", "netstandard20", ".NETStandard2.0"])]
    #[case::portable(&["portable-windows8+net45", "portable-net45+win8"])]
    #[case::store(&["WinRT45"])]
    #[case::phone(&["WP8", "WindowsPhone8"])]
    #[case::any(&["any"])]
    #[case::xamarin(&["xamarinios10", "Xamarin.iOS,Version=v1.0"])]
    #[case::playstation(&["Xamarin.PlayStation3"])]
    fn spellings_of_one_framework_are_equal(#[case] spellings: &[&str]) {
        let read: Vec<TargetFramework> =
            spellings.iter().map(|text| text.parse().expect(text)).collect();
        assert!(read.iter().all(|framework| *framework == read[0]), "{read:?}");
    }

    #[rstest]
    #[case::unknown("bogus")]
    #[case::unknown_with_version("foo45")]
    #[case::empty("")]
    #[case::letters_after_digits("net45x")]
    #[case::unknown_member("portable-foo+net45")]
    fn what_clients_do_not_know_is_told(#[case] text: &str) {
        assert_eq!(text.parse::<TargetFramework>(), Err(TargetFrameworkError));
    }

    #[test]
    fn frameworks_differ_by_version_profile_and_platform() {
        let read = |text: &str| text.parse::<TargetFramework>().unwrap();
        assert_ne!(read("net45"), read("net451"));
        assert_ne!(read("net40"), read("net40-client"));
        assert_ne!(read("net6.0"), read("net6.0-android"));
        assert_eq!(read("net6.0-android").to_string(), ".netcoreapp6-android");
    }
}
