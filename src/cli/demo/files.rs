//! What is in the demo's account: text, pictures, something like a film, folders
//! in folders.

use crate::sim::{AccountHandle, HandleError};

const WELCOME: &str = "\
Welcome to a 1fichier.com account as a local folder.

What you see is not on this disk: names come from the (simulated) service, and
bytes are fetched when a program reads them. What you write is kept here until
the service has confirmed it by size and checksum.
";

const NOTES: &str = "\
# Notes

- Edit me: only the changed version is uploaded, some seconds after you save.
- `fichierfs status` shows what is going on, `fichierfs queue list` what is queued.
";

/// Bytes of the film.
const FILM: u64 = 200_000_000;

/// Puts everything into the account.
pub fn fill(account: &AccountHandle) -> Result<(), HandleError> {
    account.add_file("Welcome.txt", WELCOME.as_bytes())?;
    account.add_file("Documents/notes.md", NOTES.as_bytes())?;
    account.add_file(
        "Documents/2026/January/budget.csv",
        b"month,amount\nJanuary,120\n",
    )?;
    account.add_file(
        "Documents/2026/February/budget.csv",
        b"month,amount\nFebruary,95\n",
    )?;
    account.add_file("Pictures/sunset.png", &picture(320, 200))?;
    account.add_file("Pictures/logo.svg", LOGO.as_bytes())?;
    for (seed, name) in ["beach", "mountain", "city"].into_iter().enumerate() {
        let side = 48 + 16 * seed;
        account.add_file(
            &format!("Pictures/Holiday/{name}.png"),
            &picture(side, side),
        )?;
    }
    account.add_synthetic("Videos/holiday-film.mkv", 1, FILM)?;
    account.add_folder("Empty folder")?;
    Ok(())
}

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" rx="12" fill="#f60"/><text x="32" y="46" font-size="40" text-anchor="middle" fill="#fff">1</text></svg>"##;

/// A PNG of a sky from blue to orange. Its pixels are stored rather than compressed,
/// which the format allows and keeps this small.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let mut rows = Vec::with_capacity((width * 3 + 1) * height);
    for y in 0..height {
        rows.push(0); // this row has no filter
        let warm = (y * 255 / height.max(1)) as u8;
        for x in 0..width {
            let light = (x * 64 / width.max(1)) as u8;
            rows.extend([warm.saturating_add(light / 2), warm / 2 + light, 255 - warm]);
        }
    }
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB, and the only methods there are
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &stored(&rows));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let mut body = kind.to_vec();
    body.extend(data);
    png.extend(&body);
    png.extend(crc32(&body).to_be_bytes());
}

/// A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4).
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_formats() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_picture_has_all_its_rows_over_several_blocks() {
        let png = picture(320, 200);
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x40\0\0\0\xc8"));
        let bytes = (320 * 3 + 1) * 200;
        let blocks = usize::div_ceil(bytes, 0xffff);
        let data = 2 + 5 * blocks + bytes + 4;
        assert_eq!(png.len(), 8 + (12 + 13) + (12 + data) + 12);
    }
}
