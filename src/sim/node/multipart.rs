//! The node's multipart parser: streaming, and as primitive as the real one
//! (API notes 3.3). What the real one does not understand is an error here.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// Longest headers of a part.
const LONGEST_HEAD: usize = 16 * 1024;

/// What the parser does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Another type, or no boundary.
    #[error("Content-Type is not multipart/form-data with a boundary")]
    NotMultipart,
    /// `boundary="…"`.
    #[error("the boundary in Content-Type is quoted")]
    QuotedBoundary,
    /// Something before the first boundary, or after a later one.
    #[error("the body does not keep to its boundary")]
    Boundary,
    /// Another header comes first.
    #[error("Content-Disposition is not the first header of a part")]
    DispositionNotFirst,
    /// `name=x` or `filename=x`.
    #[error("name or file name is not quoted")]
    Unquoted,
    /// A plain field with a type.
    #[error("a plain field has a Content-Type")]
    TypedField,
    /// No name at all, or one that is not UTF-8.
    #[error("a part has no name that can be read")]
    NoName,
    /// A file without `filename=`, such as with `filename*=` alone.
    #[error("a file part has no plain file name")]
    NoFileName,
    /// Endless headers.
    #[error("the headers of a part are too long")]
    LongHead,
    /// No final boundary.
    #[error("the body ends before its final boundary")]
    Unfinished,
}

/// A step of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Part(Part),
    /// Bytes of it.
    Data(Bytes),
    /// It ends.
    End,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A file of that name.
    File(String),
    /// A plain field.
    Field(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Head,
    Body,
    AfterBoundary,
    Finished,
}

/// See the module. Bytes in, events out.
#[derive(Debug)]
pub struct Multipart {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    state: State,
}

impl Multipart {
    /// A parser for the boundary of a Content-Type header.
    pub fn new(content_type: &str) -> Result<Multipart, FormError> {
        let (kind, rest) = content_type
            .split_once(';')
            .ok_or(FormError::NotMultipart)?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(FormError::NotMultipart);
        }
        let boundary = rest
            .split(';')
            .find_map(|part| part.trim().strip_prefix("boundary="))
            .ok_or(FormError::NotMultipart)?;
        if boundary.contains('"') {
            return Err(FormError::QuotedBoundary);
        }
        if boundary.is_empty() || boundary.len() > 200 {
            return Err(FormError::NotMultipart);
        }
        Ok(Multipart {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            buffer: BytesMut::new(),
            state: State::Start,
        })
    }

    /// Takes more of the body.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, FormError> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while self.step(&mut events)? {}
        Ok(events)
    }

    /// Checks that the body was complete.
    pub fn finish(self) -> Result<(), FormError> {
        match self.state {
            State::Finished => Ok(()),
            _ => Err(FormError::Unfinished),
        }
    }

    /// One step; false when more bytes are needed.
    fn step(&mut self, events: &mut Vec<Event>) -> Result<bool, FormError> {
        match self.state {
            State::Start => {
                // The first delimiter has no line end before it.
                let first = self.delimiter.get(2..).unwrap_or_default();
                if self.buffer.len() < first.len() {
                    return Ok(false);
                }
                if !self.buffer.starts_with(first) {
                    return Err(FormError::Boundary);
                }
                self.buffer.advance(first.len());
                self.state = State::AfterBoundary;
                Ok(true)
            }
            State::AfterBoundary => {
                if self.buffer.len() < 2 {
                    return Ok(false);
                }
                self.state = match self.buffer.split_to(2).as_ref() {
                    b"\r\n" => State::Head,
                    b"--" => State::Finished,
                    _ => return Err(FormError::Boundary),
                };
                Ok(true)
            }
            State::Head => {
                let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
                    if self.buffer.len() > LONGEST_HEAD {
                        return Err(FormError::LongHead);
                    }
                    return Ok(false);
                };
                let head = self.buffer.split_to(end);
                self.buffer.advance(4);
                events.push(Event::Part(parse_head(&head)?));
                self.state = State::Body;
                Ok(true)
            }
            State::Body => {
                if let Some(end) = memmem::find(&self.buffer, &self.delimiter) {
                    if end > 0 {
                        events.push(Event::Data(self.buffer.split_to(end).freeze()));
                    }
                    self.buffer.advance(self.delimiter.len());
                    events.push(Event::End);
                    self.state = State::AfterBoundary;
                    return Ok(true);
                }
                // The end of what is here may be the beginning of a delimiter.
                let safe = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                if safe > 0 {
                    events.push(Event::Data(self.buffer.split_to(safe).freeze()));
                }
                Ok(false)
            }
            State::Finished => {
                self.buffer.clear();
                Ok(false)
            }
        }
    }
}

fn parse_head(head: &[u8]) -> Result<Part, FormError> {
    let head = std::str::from_utf8(head).map_err(|_| FormError::NoName)?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let disposition = match first.split_once(':') {
        Some((name, value)) if name.eq_ignore_ascii_case("content-disposition") => value,
        _ => return Err(FormError::DispositionNotFirst),
    };
    let name = quoted(disposition, "name")?.ok_or(FormError::NoName)?;
    if let Some(file) = quoted(disposition, "filename")? {
        return Ok(Part::File(file));
    }
    if name == "file[]" {
        return Err(FormError::NoFileName);
    }
    let typed = lines.any(|line| line.to_ascii_lowercase().starts_with("content-type"));
    if typed {
        return Err(FormError::TypedField);
    }
    Ok(Part::Field(name))
}

/// The value of a parameter, up to the last quote before the next parameter.
fn quoted(disposition: &str, parameter: &str) -> Result<Option<String>, FormError> {
    let mut rest = disposition;
    // Parameters begin after `; `, and quoted values may hold anything but a quote.
    while let Some((_, after)) = rest.split_once(';') {
        let after = after.trim_start();
        let Some((key, value)) = after.split_once('=') else {
            return Ok(None);
        };
        let Some(value) = value.strip_prefix('"') else {
            if key == parameter {
                return Err(FormError::Unquoted);
            }
            rest = value;
            continue;
        };
        let (value, next) = value.split_once('"').ok_or(FormError::Unquoted)?;
        if key == parameter {
            return Ok(Some(value.to_owned()));
        }
        rest = next;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn parse(body: &[u8], piece: usize) -> Result<Vec<(Part, Vec<u8>)>, FormError> {
        let mut parser = Multipart::new(TYPE)?;
        let mut parts: Vec<(Part, Vec<u8>)> = Vec::new();
        for bytes in body.chunks(piece.max(1)) {
            for event in parser.push(bytes)? {
                match event {
                    Event::Part(part) => parts.push((part, Vec::new())),
                    Event::Data(data) => parts.last_mut().unwrap().1.extend_from_slice(&data),
                    Event::End => {}
                }
            }
        }
        parser.finish()?;
        Ok(parts)
    }

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, data) in parts {
            body.extend_from_slice(b"--XX\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(data);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        body
    }

    const DID: &str = "Content-Disposition: form-data; name=\"did\"";
    const FILE: &str = "Content-Disposition: form-data; name=\"file[]\"; filename=\"é;=a.bin\"\r\n\
                        Content-Type: application/octet-stream";

    #[test]
    fn a_form_as_rclone_sends_it() {
        let parts = parse(&form(&[(DID, b"42"), (FILE, b"content")]), 1_000).unwrap();
        assert_eq!(
            parts,
            [
                (Part::Field("did".into()), b"42".to_vec()),
                (Part::File("é;=a.bin".into()), b"content".to_vec()),
            ]
        );
    }

    #[test]
    fn what_the_real_node_does_not_take() {
        use FormError::*;
        let refused = [
            (
                "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"file[]\"; filename=\"a\"",
                DispositionNotFirst,
            ),
            ("Content-Disposition: form-data; name=did", Unquoted),
            (
                "Content-Disposition: form-data; name=\"file[]\"; filename=a",
                Unquoted,
            ),
            (
                "Content-Disposition: form-data; name=\"did\"\r\nContent-Type: text/plain",
                TypedField,
            ),
            (
                "Content-Disposition: form-data; name=\"file[]\"; filename*=utf-8''a",
                NoFileName,
            ),
            ("Content-Disposition: form-data", NoName),
        ];
        for (head, error) in refused {
            assert_eq!(parse(&form(&[(head, b"x")]), 1_000), Err(error), "{head}");
        }
        let quoted = Multipart::new("multipart/form-data; boundary=\"XX\"");
        assert_eq!(quoted.err(), Some(QuotedBoundary));
        assert_eq!(Multipart::new("application/json").err(), Some(NotMultipart));
        assert_eq!(parse(b"--YY\r\n", 100), Err(Boundary));
        let whole = form(&[(FILE, b"content")]);
        assert_eq!(parse(&whole[..whole.len() - 10], 1_000), Err(Unfinished));
    }

    proptest! {
        #[test]
        fn content_comes_out_as_it_went_in(
            data in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'Y'), any::<u8>()], 0..300),
            piece in 1_usize..50,
        ) {
            prop_assume!(memmem::find(&data, b"\r\n--XX").is_none());
            let parts = parse(&form(&[(FILE, &data), (DID, b"0")]), piece).unwrap();
            prop_assert_eq!(&parts[0].1, &data);
            prop_assert_eq!(parts.len(), 2);
        }
    }
}
