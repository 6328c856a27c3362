//! V2 over a feed in memory, and the requests that real clients were recorded to send.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

mod support;

use std::sync::Arc;

use hayloft_feed::FeedType;
use hayloft_feed::native::{Change, Edit, Fields, ListingChange, Request};
use hayloft_nuget::NuGet;
use hayloft_testkit::MemoryFeed;

fn push(feed: &mut MemoryFeed, id: &str, version: &str, metadata: &str) {
    let nuspec = format!(
        "<package><metadata><id>{id}</id><version>{version}</version><authors>Ann</authors>\
         <description>A &lt;thing&gt;</description>{metadata}</metadata></package>"
    );
    feed.upload("x.nupkg", &support::zip(&[("x.nuspec", nuspec.as_bytes())]));
}

fn unlist(feed: &mut MemoryFeed, id: &str, version: &str) {
    let change = Change::List(NuGet.version(version).unwrap(), ListingChange::Unlist);
    feed.edit(&Edit::new(NuGet.package_name("", id).unwrap(), vec![change])).unwrap();
}

/// The packages that the recorded requests ask for.
fn feed() -> MemoryFeed {
    let mut feed = MemoryFeed::new(Arc::new(NuGet), "main");
    let needs = "<dependencies><group targetFramework='net45'>\
                 <dependency id='V2.Many' version='1.0'/></group>\
                 <group targetFramework='net8.0'/></dependencies>";
    push(&mut feed, "V2.Dep", "1.0.0", needs);
    for minor in 0..150 {
        push(&mut feed, "V2.Many", &format!("1.{minor}.0"), "");
    }
    for version in ["1.0.0", "1.1.0-beta1", "1.2.0-rc.1", "1.3.0+build5", "2.0.0-alpha"] {
        push(&mut feed, "V2.Pre", version, "");
    }
    for version in ["1.0", "1.02.0", "2.0.0.0"] {
        push(&mut feed, "V2.Odd", version, "");
    }
    for version in ["1.0.0", "2.0.0"] {
        push(&mut feed, "V2.Unl", version, "");
    }
    unlist(&mut feed, "V2.Unl", "2.0.0");
    for version in ["1.0.0", "1.5.0", "2.1.0-preview1"] {
        push(&mut feed, "V2Mod", version, "<tags>PSModule alpha PSCommand_Get-It</tags>");
    }
    push(&mut feed, "V2Script", "1.0.0", "<tags>PSScript alpha</tags>");
    push(&mut feed, "Serilog", "2.7.1", "<title>Logs</title>");
    feed
}

/// `Id version` of each entry.
fn entries(text: &str) -> Vec<String> {
    let document =
        roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let texts = |name: &'static str| {
        let found = document.descendants().filter(move |node| node.tag_name().name() == name);
        found.filter(|node| {
            node.tag_name().namespace().is_some_and(|uri| uri.ends_with("dataservices"))
        })
    };
    let values = |name: &'static str| texts(name).map(|node| node.text().unwrap_or("").to_owned());
    values("Id").zip(values("Version")).map(|(id, version)| format!("{id} {version}")).collect()
}

fn ask(feed: &mut MemoryFeed, path: &str) -> Vec<String> {
    let got = feed.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    assert_eq!(got.media_type, "application/atom+xml;type=feed;charset=utf-8");
    entries(&got.text())
}

fn count_of(text: &str) -> Option<&str> {
    text.split_once("<m:count>")?.1.split_once("</m:count>").map(|(count, _)| count)
}

fn next_of(text: &str) -> Option<String> {
    let link = text.split_once("<link rel=\"next\" href=\"")?.1;
    Some(link.split_once('"')?.0.replace("&amp;", "&"))
}

#[test]
fn an_entry_has_all_that_clients_read() {
    let mut feed = feed();
    let got = feed.get("/v2/Packages(Id='v2.dep',Version='1.0')");
    assert_eq!(got.media_type, "application/atom+xml;type=entry;charset=utf-8");
    let text = got.text();
    let base = "http://host/nuget/main/v2";
    for part in [
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><entry ",
        "xmlns:d=\"http://schemas.microsoft.com/ado/2007/08/dataservices\"",
        "<d:Id>V2.Dep</d:Id><d:Version>1.0.0</d:Version><d:NormalizedVersion>1.0.0<",
        "<d:Dependencies>V2.Many:[1.0.0, ):net45|::net8.0</d:Dependencies>",
        "<d:Description>A &lt;thing&gt;</d:Description>",
        "<d:IsLatestVersion m:type=\"Edm.Boolean\">true<",
        "<d:Published m:type=\"Edm.DateTime\">2026-01-02T03:04:05.000Z<",
        "<d:Listed m:type=\"Edm.Boolean\">true<",
        "<d:PackageHashAlgorithm>SHA512<",
        "<d:Summary m:null=\"true\"/>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains(&format!("<id>{base}/Packages(Id='V2.Dep',Version='1.0.0')</id>")));
    assert!(text.contains(&format!("src=\"{base}/package/V2.Dep/1.0.0\"")));
    assert!(!text.contains("<!--"));
    let file = feed.get("/v2/package/v2.DEP/1.0");
    assert_eq!(file.media_type, "application/octet-stream");
    let hidden = feed.get("/v2/Packages(Id='V2.Unl',Version='2.0.0')").text();
    assert!(hidden.contains("<d:Published m:type=\"Edm.DateTime\">1900-01-01T00:00:00.000Z<"));
    assert!(hidden.contains("<d:Listed m:type=\"Edm.Boolean\">false<"));
}

#[test]
fn versions_of_a_package_are_those_that_a_client_can_read() {
    let mut feed = feed();
    let pre = |level: &str| format!("/v2/FindPackagesById()?id='v2.PRE'{level}");
    let old = ["V2.Pre 1.0.0", "V2.Pre 1.1.0-beta1", "V2.Pre 2.0.0-alpha"];
    assert_eq!(ask(&mut feed, &pre("")), old);
    assert_eq!(ask(&mut feed, &pre("&semVerLevel=2.0.0")).len(), 5);
    assert_eq!(ask(&mut feed, "/v2/FindPackagesById()?id='V2.Unl'").len(), 2);
    assert_eq!(ask(&mut feed, "/v2/FindPackagesById()?id='V2.P*'").len(), 0);
    assert_eq!(ask(&mut feed, "/v2/FindPackagesById()?id='no.such'").len(), 0);
    let latest = |feed: &mut MemoryFeed, filter: &str| {
        ask(feed, &format!("/v2/FindPackagesById()?id='V2.Pre'&$filter={filter}"))
    };
    assert_eq!(latest(&mut feed, "IsLatestVersion"), ["V2.Pre 1.0.0"]);
    assert_eq!(latest(&mut feed, "IsAbsoluteLatestVersion eq true"), ["V2.Pre 2.0.0-alpha"]);
    let new = latest(&mut feed, "IsLatestVersion&semVerLevel=2.0.0");
    assert_eq!(new, ["V2.Pre 1.3.0+build5"]);
    let unlisted = "/v2/FindPackagesById()?id='V2.Unl'&$filter=IsLatestVersion";
    assert_eq!(ask(&mut feed, unlisted), ["V2.Unl 1.0.0"]);
}

#[test]
fn pages_follow_one_another() {
    let mut feed = feed();
    let first = feed.get("/v2/FindPackagesById()?id='V2.Many'&$inlinecount=allpages").text();
    assert_eq!((entries(&first).len(), count_of(&first)), (100, Some("150")));
    let next = next_of(&first).unwrap();
    let path = next.strip_prefix("http://host/nuget/main").unwrap();
    let second = feed.get(path).text();
    assert_eq!(entries(&second).len(), 50);
    assert_eq!(entries(&second)[0], "V2.Many 1.100.0");
    assert_eq!(next_of(&second), None);
    let exact = feed.get("/v2/FindPackagesById()?id='V2.Many'&$skip=10&$top=2").text();
    assert_eq!(entries(&exact), ["V2.Many 1.10.0", "V2.Many 1.11.0"]);
    assert_eq!((next_of(&exact), count_of(&exact)), (None, None));
    assert_eq!(ask(&mut feed, "/v2/FindPackagesById()?id='V2.Many'&$skip=150").len(), 0);
    let down = "/v2/FindPackagesById()?id='V2.Many'&$orderby=NormalizedVersion%20desc&$top=2";
    assert_eq!(ask(&mut feed, down), ["V2.Many 1.149.0", "V2.Many 1.148.0"]);
    let count = feed.get("/v2/FindPackagesById()/$count?id='V2.Many'");
    assert_eq!(
        (count.media_type.as_str(), count.text().as_str()),
        ("text/plain;charset=utf-8", "150")
    );
}

/// All that a client finds that follows the links, and by how many requests.
fn walked(
    feed: &mut MemoryFeed,
    path: &str,
    between: &dyn Fn(&mut MemoryFeed),
) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = path.to_owned();
    loop {
        let page = feed.get(&path).text();
        pages.push(entries(&page));
        let Some(next) = next_of(&page) else { return pages };
        next.strip_prefix("http://host/nuget/main").unwrap().clone_into(&mut path);
        between(feed);
    }
}

#[test]
fn a_page_begins_where_the_one_before_has_ended_whatever_came_meanwhile() {
    let mut feed = feed();
    let many: Vec<String> = (0..150).map(|minor| format!("V2.Many 1.{minor}.0")).collect();
    let by_id = "/v2/FindPackagesById()?id='V2.Many'";
    let publish = |feed: &mut MemoryFeed| push(feed, "V2.Many", "1.0.1", "");
    let pages = walked(&mut feed, by_id, &publish);
    assert_eq!((pages.len(), pages.concat()), (2, many));
    for path in
        ["/v2/Packages()", "/v2/Packages()?$orderby=Id,Version", "/v2/Packages()?$filter=Id ne 'x'"]
    {
        let all = walked(&mut feed, &path.replace(' ', "%20"), &|_| ());
        let mut found = all.concat();
        assert_eq!((all.len(), found.len()), (2, 165), "{path}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 165, "{path}");
    }
    // Behind a version that is not there, in a package that is or is not.
    let at = |name: &str, version: &str| {
        let name = NuGet.package_name("", name).unwrap();
        let version = NuGet.version(version).unwrap();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let (name, key) = (hex(name.key().as_bytes()), hex(version.sort_key().as_bytes()));
        format!("$skiptoken={name}.{key}.{}", hex(version.identity().as_bytes()))
    };
    let last = at("V2.Many", "1.148.7");
    assert_eq!(ask(&mut feed, &format!("{by_id}&{last}")), ["V2.Many 1.149.0"]);
    let other = at("V2.Mano", "1.0.0");
    assert_eq!(ask(&mut feed, &format!("{by_id}&{other}")).len(), 100, "of another package");
    let behind = at("V2Mod", "9.0.0");
    assert_eq!(ask(&mut feed, &format!("/v2/Packages()?{behind}")), ["V2Script 1.0.0"]);
}

#[test]
fn searches_find_what_is_listed() {
    let mut feed = feed();
    let latest = "/v2/Search()?$filter=IsLatestVersion&includePrerelease=false&searchTerm=";
    let stable = [
        "Serilog 2.7.1",
        "V2.Dep 1.0.0",
        "V2.Many 1.149.0",
        "V2.Odd 2.0.0.0",
        "V2.Pre 1.0.0",
        "V2.Unl 1.0.0",
        "V2Mod 1.5.0",
        "V2Script 1.0.0",
    ];
    assert_eq!(ask(&mut feed, &format!("{latest}''&$orderby=Id&$skip=0&$top=30")), stable);
    assert_eq!(ask(&mut feed, &format!("{latest}'v2.pre'")), ["V2.Pre 1.0.0"]);
    assert_eq!(ask(&mut feed, &format!("{latest}''&$skip=6&$top=1")), ["V2Mod 1.5.0"]);
    let all =
        feed.get("/v2/Search()?$filter=IsLatestVersion&$inlinecount=allpages&$skip=0&$top=6000");
    assert_eq!((entries(&all.text()).len(), count_of(&all.text())), (8, Some("8")));
    let absolute =
        "/v2/Search()?$filter=IsAbsoluteLatestVersion&searchTerm='v2.pre'&includePrerelease=";
    assert_eq!(ask(&mut feed, &format!("{absolute}true")), ["V2.Pre 2.0.0-alpha"]);
    assert_eq!(
        ask(&mut feed, &format!("{absolute}true&semVerLevel=2.0.0")),
        ["V2.Pre 2.0.0-alpha"]
    );
    let every = "/v2/Search()?searchTerm='V2.Unl'&$orderby=Id&includePrerelease=true";
    assert_eq!(ask(&mut feed, every), ["V2.Unl 1.0.0"]);
    let tagged =
        "/v2/Search()?$filter=IsLatestVersion%20and%20substringof('PSModule',Tags)%20eq%20true";
    assert_eq!(ask(&mut feed, tagged), ["V2Mod 1.5.0"]);
    let term = "/v2/Search()?$filter=IsLatestVersion&searchTerm='tag%3aPSCommand_Get-It'";
    assert_eq!(ask(&mut feed, term), ["V2Mod 1.5.0"]);
    assert_eq!(feed.get("/v2/Search()/$count?searchTerm='v2.many'").text(), "150");
    let starts = "/v2/Search()?$filter=IsLatestVersion+and+startswith(Id%2c+'V2M')&$top=100";
    assert_eq!(ask(&mut feed, starts), ["V2Mod 1.5.0"]);
}

#[test]
fn what_is_newer_than_what_is_installed_is_found() {
    let mut feed = feed();
    let updates = |feed: &mut MemoryFeed, query: &str| {
        ask(feed, &format!("/v2/GetUpdates()?{}", query.replace('|', "%7C")))
    };
    let one = "packageIds='v2.many'&versions='1.0.0'&includePrerelease=false";
    let plain = "&includeAllVersions=false&targetFrameworks=''&versionConstraints=''";
    assert_eq!(updates(&mut feed, &format!("{one}{plain}")), ["V2.Many 1.149.0"]);
    let below = "&includeAllVersions=true&versionConstraints='(1.10,1.12]'";
    let between = ["V2.Many 1.11.0", "V2.Many 1.12.0"];
    assert_eq!(updates(&mut feed, &format!("{one}{below}")), between);
    let all = feed.get(&format!("/v2/GetUpdates()?{one}&includeAllVersions=true")).text();
    assert_eq!((entries(&all).len(), next_of(&all).is_some()), (100, true));
    let pages =
        walked(&mut feed, &format!("/v2/GetUpdates()?{one}&includeAllVersions=true"), &|_| ());
    assert_eq!(pages.concat().len(), 149);
    let count = feed.get(&format!("/v2/GetUpdates()/$count?{one}&includeAllVersions=true"));
    assert_eq!(count.text(), "149");

    let several = "packageIds='V2.Pre|no.such|V2.Unl|V2.Dep|V2Mod|bad id'\
                   &versions='1.0.0|1.0|1.0.0|1.0.0|0.9|1.0'&versionConstraints='|||||'";
    let stable = format!("{several}&includePrerelease=false");
    assert_eq!(updates(&mut feed, &stable), ["V2Mod 1.5.0"]);
    let prerelease = format!("{several}&includePrerelease=true");
    let found = ["V2.Pre 2.0.0-alpha", "V2Mod 2.1.0-preview1"];
    assert_eq!(updates(&mut feed, &prerelease), found);
    let stable_of_semver2 = format!("{stable}&semVerLevel=2.0.0");
    let found = ["V2.Pre 1.3.0+build5", "V2Mod 1.5.0"];
    assert_eq!(updates(&mut feed, &stable_of_semver2), found);
    let filtered = format!("{prerelease}&$filter=IsPrerelease%20eq%20false");
    assert_eq!(updates(&mut feed, &filtered), ["V2Mod 1.5.0"]);
    let flagged = format!("{several}&$filter=IsLatestVersion");
    assert_eq!(updates(&mut feed, &flagged), ["V2Mod 1.5.0"]);
    assert_eq!(updates(&mut feed, "packageIds=''&versions=''"), [""; 0]);
    assert_eq!(feed.get("/v2/GetUpdates()?packageIds='a'&versions=''").status, 400);
}

#[test]
fn packages_are_filtered() {
    let mut feed = feed();
    let filtered = |feed: &mut MemoryFeed, filter: &str| {
        ask(feed, &format!("/v2/Packages()?$filter={}", filter.replace(' ', "%20")))
    };
    assert_eq!(
        filtered(&mut feed, "(tolower(Id) eq 'v2.dep') and IsLatestVersion"),
        ["V2.Dep 1.0.0"]
    );
    assert_eq!(filtered(&mut feed, "tolower(Id) eq 'v2.unl'").len(), 2);
    assert_eq!(
        filtered(&mut feed, "substringof('log',tolower(Title)) and Id ne null"),
        ["Serilog 2.7.1"]
    );
    let range = "Version ge '1.140' and Version lt '2.0' and Id eq 'V2.Many'";
    assert_eq!(filtered(&mut feed, range).len(), 10);
    assert_eq!(feed.get("/v2/Packages/$count").text(), "164");
    // Where a page that would have cost too much goes on.
    let name = NuGet.package_name("", "V2Mod").unwrap();
    let key = data_encoding::HEXLOWER.encode(name.key().as_bytes());
    assert_eq!(ask(&mut feed, &format!("/v2/Packages()?$skiptoken={key}")), ["V2Script 1.0.0"]);
    for (path, named) in [
        ("/v2/Packages()?$filter=IsApproved", "IsApproved"),
        ("/v2/Packages()?$orderby=Title", "Title"),
        ("/v2/FindPackagesById()", "needs an `id`"),
        ("/v2/Search()?$top=x", "$top"),
    ] {
        let got = feed.get(path);
        assert_eq!(got.status, 400, "{path}");
        assert!(got.text().contains(named), "{path}: {}", got.text());
    }
}

#[test]
fn the_root_and_the_schema_are_there() {
    let mut feed = feed();
    for path in ["/v2", "/v2/", "/v2/$metadata", "/v2/%24metadata"] {
        let got = feed.get(path);
        assert_eq!(got.status, 200, "{path}");
        assert!(got.text().starts_with("<?xml"), "{path}");
        roxmltree::Document::parse(&got.text()).unwrap();
    }
    for path in
        ["/v2/items/psscript/", "/v2/api/v2/", "/api/v2/api/v2/", "/v2/package", "/v2/x/$count"]
    {
        assert_eq!(feed.get(path).status, 404, "{path}");
    }
}

/// What was recorded, if the folder of the corpus has it beside it.
fn recorded() -> Option<String> {
    let path = support::corpus("")?.join("../../spec/nuget-v2-requests.tsv");
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    text
}

#[test]
fn the_requests_of_real_clients_are_answered() {
    let Some(recorded) = recorded() else { return };
    let mut feed = feed();
    for version in ["1.0.0", "1.0.1", "1.0.2", "2.0.0-b.1+sha"] {
        push(&mut feed, "V2.New", version, "");
    }
    let roots = ["/api/v2", "/nuget/ps", "/nuget"];
    let (mut answered, mut refused) = (0, 0);
    for line in recorded.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [client, method, target, ..] = cells[..] else { panic!("{line}") };
        let Some(below) = roots.iter().find_map(|root| target.strip_prefix(root)) else { continue };
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        let path = format!("/v2{path}");
        let request = Request::get(&path, "http://host/nuget/main").method(method).query(query);
        if method != "GET" {
            let reply = feed.act(&request, &Fields::default(), Some(b"PK"));
            assert!([204, 400, 404].contains(&reply.status), "{line}: {}", reply.status);
            assert!(method != "DELETE" || reply.status != 400, "{line}");
            continue;
        }
        let got = feed.resolve(&request);
        let is_item =
            ["/Packages(", "/package", "/items/", "/api/"].iter().any(|item| path.contains(item));
        let is_unknown = is_item && !path.contains("/Packages()");
        let is_malformed =
            ["IsApproved", "IsDownloadCacheAvailable", "%20it's%20", "'it's%20a&b'", "%20it's'"]
                .iter()
                .any(|part| query.contains(part));
        match got.status {
            200 => answered += 1,
            404 if is_unknown => refused += 1,
            400 if is_malformed => refused += 1,
            status => panic!("{client}: {target}: {status} {}", got.text()),
        }
        if got.media_type.starts_with("application/atom+xml") {
            entries(&got.text());
        }
    }
    assert!(answered > 200, "{answered}");
    println!("{answered} requests answered, {refused} refused");
}
