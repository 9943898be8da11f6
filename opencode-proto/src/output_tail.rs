//! The tail of the output of a process.

use std::collections::VecDeque;

use crate::ansi::without_escapes;

/// Last bytes of a stream, up to a size.
#[derive(Debug)]
pub(crate) struct OutputTail {
    bytes: VecDeque<u8>,
    size_max: usize,
}

impl OutputTail {
    pub(crate) fn new(size_max: usize) -> Self {
        Self { bytes: VecDeque::new(), size_max }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        let kept = &chunk[chunk.len().saturating_sub(self.size_max)..];
        let over = (self.bytes.len() + kept.len()).saturating_sub(self.size_max);
        self.bytes.drain(..over);
        self.bytes.extend(kept);
    }

    /// Returns the bytes as text, without colours.
    pub(crate) fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        without_escapes(&String::from_utf8_lossy(&[front, back].concat())).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_bytes_are_kept() {
        let mut tail = OutputTail::new(4);
        assert_eq!(tail.text(), "");
        tail.push(b"abc");
        tail.push(b"de");
        assert_eq!((tail.text().as_str(), tail.bytes.len()), ("bcde", 4));
        tail.push(b"a longer chunk");
        assert_eq!((tail.text().as_str(), tail.bytes.len()), ("hunk", 4));
    }
}
