//! What the operating system tells about the file system under a path.

use std::io;
use std::path::Path;

/// Bytes that an ordinary user can still write below `path`.
#[cfg(unix)]
pub(super) fn available(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Unknown here: full disks show when a write fails.
#[cfg(not(unix))]
pub(super) fn available(_path: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}

/// The kind of network file system under `path`, if it is one.
#[cfg(target_os = "linux")]
pub(super) fn network_file_system(path: &Path) -> io::Result<Option<String>> {
    const FUSE: u64 = 0x6573_5546;
    let kind = magic(rustix::fs::statfs(path)?.f_type);
    if let Some((_, name)) = NETWORK_MAGIC.iter().find(|(magic, _)| *magic == kind) {
        return Ok(Some((*name).to_owned()));
    }
    if kind != FUSE {
        return Ok(None);
    }
    // All user-space file systems share one number; the mount table tells them apart.
    let device = rustix::fs::stat(path)?.st_dev;
    let mounts = mount_table()?;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Ok(mount_type(&mounts, major, minor).filter(|found| is_remote_fuse(found)).map(str::to_owned))
}

/// Only Linux is asked; elsewhere every place counts as local.
#[cfg(not(target_os = "linux"))]
pub(super) fn network_file_system(_path: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// `statfs` numbers of file systems whose bytes lie on another machine, as in `linux/magic.h`.
#[cfg(target_os = "linux")]
const NETWORK_MAGIC: [(u64, &str); 14] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x564c, "ncp"),
    (0x5346_414f, "afs"),
    (0x7375_7245, "coda"),
    (0x00c3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
    (0x2003_0528, "orangefs"),
    (0x786f_4256, "vboxsf"),
];

/// The kernel's number is 32 bits wide; its type differs by machine and may be sign-extended.
#[cfg(target_os = "linux")]
fn magic(kind: impl TryInto<i64>) -> u64 {
    kind.try_into().unwrap_or(0).cast_unsigned() & 0xffff_ffff
}

/// The mount table of this process.
#[cfg(target_os = "linux")]
fn mount_table() -> io::Result<String> {
    const LIMIT: u64 = 4 << 20;
    let mut table = fs_err::File::open("/proc/self/mountinfo")?;
    let bytes = hayloft_feed::Limits::read(&mut table, LIMIT).map_err(io::Error::other)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The type of the mount with a device number, such as `fuse.sshfs`.
///
/// Format: `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPER`.
#[cfg(target_os = "linux")]
fn mount_type(table: &str, major: u32, minor: u32) -> Option<&str> {
    let device = format!("{major}:{minor}");
    table.lines().rev().find_map(|line| {
        let (mount, about) = line.split_once(" - ")?;
        (mount.split(' ').nth(2)? == device).then(|| about.split(' ').next())?
    })
}

/// True for a user-space file system that keeps its bytes on another machine.
#[cfg(target_os = "linux")]
fn is_remote_fuse(mount_type: &str) -> bool {
    const REMOTE: [&str; 15] = [
        "sshfs",
        "s3fs",
        "rclone",
        "gcsfuse",
        "glusterfs",
        "ceph",
        "curlftpfs",
        "davfs",
        "davfs2",
        "mount-s3",
        "goofys",
        "juicefs",
        "moosefs",
        "smbnetfs",
        "blobfuse2",
    ];
    mount_type.strip_prefix("fuse.").is_some_and(|name| REMOTE.contains(&name))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
96 22 0:51 / /home/a/far rw,nosuid shared:52 - fuse.sshfs a@host:/ rw,user_id=0
97 22 0:52 / /home/a/near rw,nosuid - fuse.bindfs /srv rw
98 22 0:53 / /disk rw - fuseblk /dev/sdb1 rw
";

    #[rstest::rstest]
    #[case::disk(259, 2, Some("ext4"), false)]
    #[case::ssh(0, 51, Some("fuse.sshfs"), true)]
    #[case::local_user_space(0, 52, Some("fuse.bindfs"), false)]
    #[case::ntfs(0, 53, Some("fuseblk"), false)]
    #[case::absent(9, 9, None, false)]
    fn mounts_are_told_apart_by_device(
        #[case] major: u32,
        #[case] minor: u32,
        #[case] kind: Option<&str>,
        #[case] remote: bool,
    ) {
        let found = mount_type(TABLE, major, minor);
        assert_eq!(found, kind);
        assert_eq!(found.is_some_and(is_remote_fuse), remote);
    }

    #[rstest::rstest]
    #[case::plain(0x6969_i64, 0x6969)]
    #[case::sign_extended(i64::from(0xff53_4d42_u32.cast_signed()), 0xff53_4d42)]
    fn magic_numbers_are_32_bits_wide(#[case] raw: i64, #[case] expected: u64) {
        assert_eq!(magic(raw), expected);
    }

    #[test]
    fn the_own_source_tree_can_be_asked() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(network_file_system(here).is_ok());
        assert!(available(here).unwrap() > 0);
    }
}
