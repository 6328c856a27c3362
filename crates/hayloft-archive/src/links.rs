use std::collections::HashMap;

use crate::ArchiveError;
use crate::error::shown;
use crate::tar::{TarEntry, TarKind};

/// Directories and links that the links of one archive may name.
const NODES: usize = 100_000;
/// Bytes of all targets together.
const TARGETS: usize = 4 << 20;

/// Follows the symbolic links of an archive as a file system would, to see that none leads out of
/// the directory unpacked into.
///
/// A link that looks harmless by its text may climb out through another one: with `a/b/c` a link to
/// `../..`, what is called `a/b/c/../x` lies one level higher than it reads. Nothing may be unpacked
/// through a link or in its place either. Names compare without case, as some systems unpack them.
/// Time and memory are linear in the bytes of the links; other members are only held against them.
#[derive(Debug)]
pub struct Links {
    nodes: Vec<Node>,
    /// By parent and name in lower case.
    children: HashMap<(usize, Box<[u8]>), usize>,
    in_order: Vec<usize>,
    target_bytes: usize,
}

#[derive(Debug)]
struct Node {
    parent: usize,
    has_children: bool,
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    path: Box<[u8]>,
    target: Box<[u8]>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Unknown,
    /// Its target is being followed.
    Entered,
    Leads(Place),
    /// In a circle: nothing can be opened through it.
    Circular,
}

/// A place in the tree: so many levels below a node, where no links are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    node: usize,
    below: usize,
}

const ROOT: Place = Place { node: 0, below: 0 };

/// A target on its way.
struct Frame {
    link: usize,
    /// Bytes of the target that were followed.
    at: usize,
    place: Place,
}

enum Step {
    Follow(usize),
    End(State),
    Outside,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            nodes: vec![Node { parent: 0, has_children: false, link: None }],
            children: HashMap::new(),
            in_order: Vec::new(),
            target_bytes: 0,
        }
    }
}

impl Links {
    /// Takes note of the next member of a tar stream.
    pub fn entry(&mut self, entry: &TarEntry) -> Result<(), ArchiveError> {
        let link = entry.link().unwrap_or_default();
        match entry.kind() {
            TarKind::SymbolicLink => self.symbolic(entry.path(), link),
            TarKind::HardLink => {
                self.member(link)?;
                self.member(entry.path())
            }
            TarKind::File | TarKind::Directory | TarKind::Other(_) => self.member(entry.path()),
        }
    }

    /// Holds the path of a member that is no symbolic link against the links before it.
    pub fn member(&self, path: &[u8]) -> Result<(), ArchiveError> {
        let mut node = ROOT.node;
        for name in named(path) {
            match self.child(node, name) {
                Some(child) => node = child,
                None => return Ok(()),
            }
            if self.nodes.get(node).is_some_and(|node| node.link.is_some()) {
                return Err(fault(path, "would be unpacked through a symbolic link"));
            }
        }
        Ok(())
    }

    /// Takes note of a symbolic link.
    pub fn symbolic(&mut self, path: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        self.member(path)?;
        let mut node = ROOT.node;
        for name in named(path) {
            node = self.child_or_new(node, name, path)?;
        }
        self.target_bytes = self.target_bytes.saturating_add(target.len());
        if self.target_bytes > TARGETS {
            let what = "the targets of all links".to_owned();
            return Err(ArchiveError::TooLarge { what, limit: crate::bytes::count(TARGETS) });
        }
        let Some(place) = self.nodes.get_mut(node).filter(|place| !place.has_children) else {
            return Err(fault(path, "is a link in the place of a directory"));
        };
        let link = Link { path: path.into(), target: target.into(), state: State::Unknown };
        place.link = Some(link);
        self.in_order.push(node);
        Ok(())
    }

    /// Follows all links. With `top`, they must stay in that one directory.
    pub fn check(mut self, top: Option<&[u8]>) -> Result<(), ArchiveError> {
        let top = top.map(folded);
        for link in std::mem::take(&mut self.in_order) {
            if let Err(outside) = self.resolve(link, top.as_deref()) {
                let link = self.nodes.get(outside).and_then(|node| node.link.as_ref());
                let path = link.map(|link| &*link.path).unwrap_or_default();
                return Err(fault(path, "is a link that leads out of the archive"));
            }
        }
        Ok(())
    }

    fn child(&self, node: usize, name: &[u8]) -> Option<usize> {
        self.children.get(&(node, folded(name))).copied()
    }

    fn child_or_new(
        &mut self,
        parent: usize,
        name: &[u8],
        path: &[u8],
    ) -> Result<usize, ArchiveError> {
        if let Some(child) = self.child(parent, name) {
            return Ok(child);
        }
        if self.nodes.len() >= NODES {
            return Err(fault(path, "is one link more than an archive may have"));
        }
        let child = self.nodes.len();
        self.nodes.push(Node { parent, has_children: false, link: None });
        self.children.insert((parent, folded(name)), child);
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.has_children = true;
        }
        Ok(child)
    }

    /// Follows one link and those it leads through; the error is the link that leads out.
    fn resolve(&mut self, link: usize, top: Option<&[u8]>) -> Result<(), usize> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut next = Some(link);
        loop {
            if let Some(link) = next.take() {
                match self.state(link) {
                    State::Unknown => frames.push(self.enter(link)),
                    State::Leads(place) => {
                        if let Some(frame) = frames.last_mut() {
                            frame.place = place;
                        }
                    }
                    State::Entered | State::Circular => {
                        for frame in frames.drain(..) {
                            self.set_state(frame.link, State::Circular);
                        }
                    }
                }
            }
            let Some(frame) = frames.last_mut() else { return Ok(()) };
            match Self::step(&self.nodes, &self.children, frame, top) {
                Step::Follow(link) => next = Some(link),
                Step::End(state) => {
                    let done = frame.link;
                    frames.pop();
                    self.set_state(done, state);
                    // The link through which it was reached goes on from here.
                    next = frames.last().is_some().then_some(done);
                }
                Step::Outside => return Err(frame.link),
            }
        }
    }

    fn enter(&mut self, link: usize) -> Frame {
        self.set_state(link, State::Entered);
        let parent = self.nodes.get(link).map_or(ROOT.node, |node| node.parent);
        Frame { link, at: 0, place: Place { node: parent, below: 0 } }
    }

    fn state(&self, link: usize) -> State {
        let link = self.nodes.get(link).and_then(|node| node.link.as_ref());
        link.map_or(State::Circular, |link| link.state)
    }

    fn set_state(&mut self, link: usize, state: State) {
        if let Some(link) = self.nodes.get_mut(link).and_then(|node| node.link.as_mut()) {
            link.state = state;
        }
    }

    /// Follows a target to the next link in it, or to its end.
    fn step(
        nodes: &[Node],
        children: &HashMap<(usize, Box<[u8]>), usize>,
        frame: &mut Frame,
        top: Option<&[u8]>,
    ) -> Step {
        let Some(link) = nodes.get(frame.link).and_then(|node| node.link.as_ref()) else {
            return Step::End(State::Circular);
        };
        if link.target.first().is_none_or(|first| *first == b'/') {
            return Step::Outside;
        }
        while let Some(rest) = link.target.get(frame.at..).filter(|rest| !rest.is_empty()) {
            let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
            frame.at += name.len() + 1;
            let Place { node, below } = frame.place;
            match name {
                b"" | b"." => {}
                b".." if below > 0 => frame.place.below -= 1,
                b".." if node == ROOT.node => return Step::Outside,
                b".." => frame.place.node = nodes.get(node).map_or(ROOT.node, |node| node.parent),
                name => {
                    let name = folded(name);
                    if frame.place == ROOT && top.is_some_and(|top| *top != *name) {
                        return Step::Outside;
                    }
                    if below > 0 {
                        frame.place.below += 1;
                    } else if let Some(child) = children.get(&(node, name)) {
                        frame.place.node = *child;
                        if nodes.get(*child).is_some_and(|child| child.link.is_some()) {
                            return Step::Follow(*child);
                        }
                    } else {
                        frame.place.below = 1;
                    }
                }
            }
        }
        if top.is_some() && frame.place == ROOT {
            return Step::Outside;
        }
        Step::End(State::Leads(frame.place))
    }
}

/// Components that lead somewhere.
fn named(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

fn folded(name: &[u8]) -> Box<[u8]> {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_lowercase().into_bytes().into(),
        Err(_) => name.to_ascii_lowercase().into(),
    }
}

fn fault(path: &[u8], fault: &'static str) -> ArchiveError {
    ArchiveError::Name { name: shown(path), fault }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn all(links: &[(&str, &str)], top: Option<&str>) -> Result<(), String> {
        let mut found = Links::default();
        links
            .iter()
            .try_for_each(|(path, target)| found.symbolic(path.as_bytes(), target.as_bytes()))
            .and_then(|()| found.check(top.map(str::as_bytes)))
            .map_err(|error| error.to_string())
    }

    const OUT: &str = "is a link that leads out of the archive";

    #[rstest]
    #[case::beside(&[("t/a", "b")])]
    #[case::up_within(&[("t/a/b", "../c")])]
    #[case::out_and_in(&[("t/a", "../t/c")])]
    #[case::to_the_top(&[("t/a", ".")])]
    #[case::through_a_link(&[("t/a/b", "../c"), ("t/d", "a/b/e")])]
    #[case::back_through_a_link(&[("t/a/b/c", "../.."), ("t/d", "a/b/c/../t/e")])]
    #[case::circle(&[("t/a", "b"), ("t/b", "a"), ("t/c", "a/../../../x")])]
    #[case::itself(&[("t/a", "a")])]
    #[case::below_itself(&[("t/a", "a/b/../../..")])]
    fn links_within_are_accepted(#[case] links: &[(&str, &str)]) {
        assert_eq!(all(links, Some("t")), Ok(()));
        assert_eq!(all(links, None), Ok(()));
    }

    #[rstest]
    #[case::absolute(&[("t/a", "/etc/passwd")], "t/a")]
    #[case::empty(&[("t/a", "")], "t/a")]
    #[case::up(&[("t/a", "../../x")], "t/a")]
    #[case::through_a_link(&[("t/a/b/c", "../.."), ("t/d", "a/b/c/../../x")], "t/d")]
    #[case::through_a_later_link(&[("t/d", "a/b/c/../../x"), ("t/a/b/c", "../..")], "t/d")]
    #[case::through_two(
        &[("t/a/b/c", "../.."), ("t/e/f", "../a/b/c/a"), ("t/g", "e/f/../../../x")], "t/g"
    )]
    #[case::case_of_letters(&[("t/A/b/c", "../.."), ("t/d", "a/B/C/../../x")], "t/d")]
    fn links_that_lead_out_are_named(#[case] links: &[(&str, &str)], #[case] path: &str) {
        let expected = format!("the entry name `{path}` {OUT}");
        assert_eq!(all(links, Some("t")), Err(expected.clone()));
        assert_eq!(all(links, None), Err(expected));
    }

    #[rstest]
    #[case::beside(&[("t/a", "../u")])]
    #[case::above(&[("t/a", "..")])]
    fn links_stay_in_the_one_directory(#[case] links: &[(&str, &str)]) {
        assert!(all(links, Some("t")).unwrap_err().ends_with(OUT));
        assert_eq!(all(links, None), Ok(()));
    }

    #[test]
    fn nothing_is_unpacked_through_a_link_or_in_its_place() {
        let mut links = Links::default();
        links.member(b"t/a/b").unwrap();
        links.symbolic(b"t/a/./b", b"c").unwrap();
        links.member(b"t/a").unwrap();
        links.member(b"t/a/bc").unwrap();
        for path in ["t/a/b", "t/a//B/d", "./t/a/b/d"] {
            assert!(links.member(path.as_bytes()).is_err(), "{path}");
            assert!(links.symbolic(path.as_bytes(), b"c").is_err(), "{path}");
        }
        assert!(links.symbolic(b"t/a", b"c").is_err());
    }

    #[test]
    fn every_target_is_followed_once() {
        // Each link leads through the one before it: without memory this is 2^n steps.
        let mut links = Links::default();
        links.symbolic(b"t/l0", b"x").unwrap();
        for at in 1..5_000 {
            let target = format!("l{0}/../l{0}/../l{0}", at - 1);
            links.symbolic(format!("t/l{at}").as_bytes(), target.as_bytes()).unwrap();
        }
        links.check(Some(b"t")).unwrap();
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let mut links = Links::default();
        for at in 0..50_000 {
            let path = format!("t/l{at}");
            links.symbolic(path.as_bytes(), format!("l{}", at + 1).as_bytes()).unwrap();
        }
        links.check(Some(b"t")).unwrap();
    }

    #[test]
    fn the_number_of_links_is_limited() {
        let mut links = Links::default();
        let deep = "a/".repeat(NODES - 1);
        links.symbolic(deep.as_bytes(), b"x").unwrap();
        assert!(links.symbolic(b"b", b"x").is_err());
        let mut links = Links::default();
        links.symbolic(b"b", &vec![b'x'; TARGETS]).unwrap();
        assert!(links.symbolic(b"c", b"x").is_err());
    }
}
