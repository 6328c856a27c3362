//! Any set of links: what is accepted leads nowhere but inside, by a file system's own rules.
#![no_main]

use std::collections::HashMap;

use hayloft_archive::Links;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut links = Links::default();
    let mut known: HashMap<Vec<String>, String> = HashMap::new();
    for line in text.lines().take(64) {
        let Some((path, target)) = line.split_once('\t') else {
            let _ = links.member(line.as_bytes());
            continue;
        };
        if links.symbolic(path.as_bytes(), target.as_bytes()).is_ok() {
            known.insert(names(path), target.to_owned());
        }
    }
    if links.check(None).is_err() {
        return;
    }
    for (path, target) in &known {
        let mut place = path.clone();
        place.pop();
        let mut steps = 0;
        assert!(follow(&known, place, target, &mut steps).is_ok(), "{path:?} of {known:?}");
    }
});

fn names(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.map(str::to_lowercase).collect()
}

/// Where `target` leads from `place`; `None` if it cannot be opened, an error if it leads out.
fn follow(
    known: &HashMap<Vec<String>, String>,
    mut place: Vec<String>,
    target: &str,
    steps: &mut u32,
) -> Result<Option<Vec<String>>, ()> {
    *steps += 1;
    if *steps > 200 {
        return Ok(None);
    }
    if target.is_empty() || target.starts_with('/') {
        return Err(());
    }
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                place.pop().ok_or(())?;
            }
            name => {
                place.push(name.to_lowercase());
                if let Some(next) = known.get(&place) {
                    let mut parent = place.clone();
                    parent.pop();
                    match follow(known, parent, next, steps)? {
                        Some(reached) => place = reached,
                        None => return Ok(None),
                    }
                }
            }
        }
    }
    Ok(Some(place))
}
