//! One client of all types, whose every step follows from the seed.

use hayloft_core::sim::Random;
use hayloft_tests::{Request, Response, sha256};

use crate::Ring;
use crate::facts::{Fact, Facts, Known, Place, Recipe};
use crate::kinds::{KINDS, Kind};

/// Files of a client at once, about.
const MOST: usize = 60;

pub struct Client<'r> {
    ring: &'r Ring,
    number: usize,
    random: Random,
    step: u64,
    pub facts: Facts,
}

/// What became of a request.
enum Outcome {
    Done(Response),
    /// The server says that nothing was changed.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl<'r> Client<'r> {
    pub fn new(ring: &'r Ring, seed: u64, number: usize) -> Self {
        let random = Random::new(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9));
        Self { ring, number, random, step: 0, facts: Facts::new() }
    }

    /// Does one thing after the other until the soak is over.
    pub fn work(mut self) -> Facts {
        while !self.ring.is_over() {
            let kind = KINDS[self.random.index(KINDS.len())];
            let there = self.there(kind).len();
            match self.random.below(100) {
                0..40 if there < MOST => self.upload(kind),
                0..58 => self.delete(kind),
                58..66 => self.repeat(kind),
                66..76 => self.download(kind),
                76..84 => self.promote(kind),
                84..92 => self.repackage(kind),
                92..95 => self.set_listed(kind),
                95..98 => self.ask_as_native_client(kind),
                _ => self.list(kind),
            }
            self.step += 1;
        }
        self.facts
    }

    /// Sends a request again and again until a server is there.
    fn send(&self, request: &Request, what: &str) -> Outcome {
        self.send_expecting(request, what, 200)
    }

    /// The same where one more status is as good as success.
    fn send_expecting(&self, request: &Request, what: &str, status: u16) -> Outcome {
        let Some(address) = self.ring.address() else { return Outcome::Refused };
        let answer = request.clone().key(&self.ring.key()).try_send(address);
        self.ring.count();
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) || answer.status == status => {
                Outcome::Done(answer)
            }
            // No space.
            Ok(answer) if answer.status == 507 => Outcome::Refused,
            // The store had to be opened again; the client repeats.
            Ok(answer) if answer.status == 503 => Outcome::Unknown,
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                panic!(
                    "client {} step {}: {what}: {} {text}",
                    self.number, self.step, answer.status
                )
            }
            Err(_) => Outcome::Unknown,
        }
    }

    fn there(&self, kind: Kind) -> Vec<Place> {
        let own = kind.own_feed(self.number);
        let sure = self
            .facts
            .iter()
            .filter(|(place, known)| place.feed == own && matches!(known.fact, Fact::There(_)));
        sure.map(|(place, _)| place.clone()).collect()
    }

    fn pick(&mut self, kind: Kind) -> Option<Place> {
        let there = self.there(kind);
        there.get(self.random.index(there.len())).cloned()
    }

    fn set(&mut self, place: &Place, fact: Fact, recipe: Option<Recipe>) {
        self.facts.insert(place.clone(), Known { fact, recipe });
    }

    fn upload(&mut self, kind: Kind) {
        let size = match self.random.below(20) {
            0..11 => self.random.index(12_000),
            11..18 => 20_000 + self.random.index(80_000),
            _ => 600_000 + self.random.index(600_000),
        };
        // Some contents are those of all clients, who use, delete and publish them at once.
        let is_shared = self.random.below(5) == 0;
        let (name, number, size) = if is_shared {
            let number = self.random.below(8);
            ("twin".to_owned(), number, 20_000 + 10_000 * usize::try_from(number).unwrap())
        } else {
            (format!("soak{}", self.number), self.step, size)
        };
        let (candidate, release) = kind.versions(number);
        let version = if is_shared { release } else { candidate };
        let place = Place { feed: kind.own_feed(self.number), name, version };
        if self.facts.get(&place).is_some_and(|known| known.fact != Fact::Gone) {
            return;
        }
        self.put(&place, Recipe { kind, size });
    }

    fn put(&mut self, place: &Place, recipe: Recipe) {
        let bytes = recipe.kind.file(&place.name, &place.version, recipe.size);
        let digest = Some(sha256(&bytes));
        let target = format!("/api/packages/{}/upload?distribution=stable", place.feed);
        match self.send(&Request::put(&target, bytes), "upload") {
            Outcome::Done(_) => self.set(place, Fact::There(digest), Some(recipe)),
            Outcome::Refused => {}
            Outcome::Unknown => {
                let was = self.facts.get(place).map(|known| known.fact.clone());
                if !matches!(was, Some(Fact::There(_))) {
                    self.set(place, Fact::Either(digest), Some(recipe));
                }
            }
        }
    }

    /// The same bytes once more: nothing changes.
    fn repeat(&mut self, kind: Kind) {
        let Some(place) = self.pick(kind) else { return };
        if let Some(recipe) = self.facts[&place].recipe {
            self.put(&place, recipe);
        }
    }

    fn delete(&mut self, kind: Kind) {
        let Some(place) = self.pick(kind) else { return };
        let target = format!("/api/packages/{}/delete?{}", place.feed, place.query());
        let Known { fact, recipe } = self.facts[&place].clone();
        match self.send(&Request::post(&target), "delete") {
            Outcome::Done(_) => self.set(&place, Fact::Gone, recipe),
            Outcome::Refused => {}
            Outcome::Unknown => {
                let Fact::There(digest) = fact else { return };
                self.set(&place, Fact::Either(digest), recipe);
            }
        }
    }

    fn download(&mut self, kind: Kind) {
        let Some(place) = self.pick(kind) else { return };
        let Known { fact, recipe } = self.facts[&place].clone();
        let Fact::There(digest) = fact else { return };
        let first = self.random.index(1_000);
        let mut request = Request::get(&place.download());
        if let Some(recipe) = recipe.filter(|_| self.random.coin()) {
            let whole = recipe.kind.file(&place.name, &place.version, recipe.size);
            let first = first.min(whole.len() - 1);
            let last = first + self.random.index(whole.len() - first);
            request = request.header("Range", &format!("bytes={first}-{last}"));
            if let Outcome::Done(answer) = self.send(&request, "a range") {
                assert_eq!(answer.status, 206);
                assert!(answer.body == whole[first..=last], "{place:?} {first}-{last}");
            }
        } else if let Outcome::Done(answer) = self.send(&request, "download") {
            let found = sha256(&answer.body);
            assert!(digest.as_ref().is_none_or(|digest| *digest == found), "{place:?}");
            self.set(&place, Fact::There(Some(found)), recipe);
        }
    }

    fn promote(&mut self, kind: Kind) {
        let candidate = kind.versions(0).0.trim_start_matches("1.0.0").to_owned();
        let own = format!("soak{}", self.number);
        let Some(place) = self.pick(kind) else { return };
        let there = Place { feed: kind.released(), ..place.clone() };
        if place.version.ends_with(&candidate)
            || place.name != own
            || self.facts.contains_key(&there)
        {
            return;
        }
        let Known { fact, recipe } = self.facts[&place].clone();
        let Fact::There(digest) = fact else { return };
        let body = format!(
            r#"{{"fromFeed":"{}","name":"{}","version":"{}","toFeed":"{}"}}"#,
            place.feed, place.name, place.version, there.feed
        );
        let request = Request::new("POST", "/api/promotions/promote").json(&body);
        match self.send(&request, "promote") {
            Outcome::Done(_) => self.set(&there, Fact::There(digest), recipe),
            Outcome::Refused => {}
            Outcome::Unknown => self.set(&there, Fact::Either(digest), recipe),
        }
    }

    fn repackage(&mut self, kind: Kind) {
        let candidate = kind.versions(0).0.trim_start_matches("1.0.0").to_owned();
        let Some(place) = self.pick(kind) else { return };
        let Some(release) = place.version.strip_suffix(candidate.as_str()) else { return };
        let there = Place { version: release.to_owned(), ..place.clone() };
        if self.facts.get(&there).is_some_and(|known| known.fact != Fact::Gone) {
            return;
        }
        let body = format!(
            r#"{{"feed":"{}","name":"{}","version":"{}","newVersion":"{release}"}}"#,
            place.feed, place.name, place.version
        );
        let request = Request::new("POST", "/api/repackaging/repackage").json(&body);
        match self.send(&request, "repackage") {
            Outcome::Done(_) => self.set(&there, Fact::There(None), None),
            Outcome::Refused => {}
            Outcome::Unknown => self.set(&there, Fact::Either(None), None),
        }
    }

    fn set_listed(&mut self, kind: Kind) {
        let Some(place) = self.pick(kind) else { return };
        let target = format!("/api/packages/{}/status?{}", place.feed, place.query());
        let body = format!(r#"{{"listed":{}}}"#, self.random.coin());
        self.send(&Request::post(&target).json(&body), "status");
    }

    fn ask_as_native_client(&mut self, kind: Kind) {
        let Some(place) = self.pick(kind) else { return };
        let target = kind.native(&place.feed, &place.name);
        // All versions may be unlisted, and what debian's clients read is made in the background.
        self.send_expecting(&Request::get(&target), &target, 404);
    }

    fn list(&mut self, kind: Kind) {
        let target = format!("/api/packages/{}/versions", kind.released());
        if let Outcome::Done(answer) = self.send(&Request::get(&target), "list") {
            assert!(answer.json().is_array());
        }
    }
}
