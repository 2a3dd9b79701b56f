//! The small part of JSON that a safetensors header is made of: objects, lists, strings and whole numbers.

use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Text(String),
    Number(u64),
}

/// Objects and lists in each other; a header has three levels.
const DEPTH: usize = 8;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

fn bad(at: usize) -> Error {
    crate::err!(
        Value,
        "Error while deserializing header: invalid JSON in header at byte {at}"
    )
}

/// Parses one JSON value; only spaces may follow it.
pub(super) fn parse(text: &str) -> Result<Json> {
    let mut p = Parser { text, at: 0 };
    let value = p.value(0)?;
    match p.peek() {
        None => Ok(value),
        Some(_) => Err(bad(p.at)),
    }
}

/// A string as JSON.
pub(super) fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Parser<'_> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += found as usize;
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > DEPTH {
            return Err(bad(self.at));
        }
        match self.peek() {
            Some(b'{') => {
                let mut fields: Vec<(String, Json)> = Vec::new();
                self.sequence(b'}', |p| {
                    let key = p.string()?;
                    if !p.eat(b':') {
                        return Err(bad(p.at));
                    }
                    fields.push((key, p.value(depth + 1)?));
                    Ok(())
                })?;
                let mut names: Vec<&str> = fields.iter().map(|f| f.0.as_str()).collect();
                names.sort_unstable();
                if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
                    crate::bail!(
                        Value,
                        "Error while deserializing header: duplicate key {:?} in header",
                        twice[0]
                    );
                }
                Ok(Json::Object(fields))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.sequence(b']', |p| {
                    items.push(p.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::List(items))
            }
            Some(b'"') => Ok(Json::Text(self.string()?)),
            _ => {
                let rest = &self.text[self.at..];
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let number = rest[..digits].parse().map_err(|_| bad(self.at))?;
                self.at += digits;
                Ok(Json::Number(number))
            }
        }
    }

    /// Comma-separated items behind an opening bracket up to `close`.
    fn sequence(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.at += 1;
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(close) {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(bad(self.at));
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        if !self.eat(b'"') {
            return Err(bad(self.at));
        }
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(['"', '\\']).ok_or_else(|| bad(self.at))?;
            out += &rest[..plain];
            self.at += plain + 1;
            if rest.as_bytes()[plain] == b'"' {
                return Ok(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char> {
        let code = self
            .text
            .as_bytes()
            .get(self.at)
            .copied()
            .ok_or_else(|| bad(self.at))?;
        self.at += 1;
        Ok(match code {
            b'"' | b'\\' | b'/' => code as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let full = if (0xd800..0xdc00).contains(&high) {
                    if !self.text[self.at..].starts_with("\\u") {
                        return Err(bad(self.at));
                    }
                    self.at += 2;
                    let low = self.hex()?;
                    let low = low
                        .checked_sub(0xdc00)
                        .filter(|l| *l < 0x400)
                        .ok_or_else(|| bad(self.at))?;
                    0x10000 + ((high - 0xd800) << 10) + low
                } else {
                    high
                };
                char::from_u32(full).ok_or_else(|| bad(self.at))?
            }
            _ => return Err(bad(self.at)),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self
            .text
            .as_bytes()
            .get(self.at..self.at + 4)
            .ok_or_else(|| bad(self.at))?;
        let value = digits
            .iter()
            .try_fold(0, |v, &b| Some(v << 4 | (b as char).to_digit(16)?));
        self.at += 4;
        value.ok_or_else(|| bad(self.at))
    }
}
