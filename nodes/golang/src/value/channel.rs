//! Channels: their length and capacity, and what waits in their buffer.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::TypeRef;
use crate::value::reader::{Walk, check_address, cut_list};
use crate::value::{Reader, Value};

/// What stands in a `runtime.hchan`.
struct Header {
    count: u64,
    capacity: u64,
    buffer: u64,
    is_closed: bool,
    first: u64,
    /// Of a `time.Timer` or `time.Ticker` (Go 1.23 and later).
    is_timer: bool,
}

impl Reader<'_> {
    fn channel_header(&self, address: u64, element: TypeRef) -> Result<Header, Gap> {
        check_address(address)?;
        let layout = &self.facts.channel;
        let buffer = self.read_uncounted(address, layout.size as u64)?;
        let view = buffer.view();
        let header = Header {
            count: view.word(layout.qcount as u64)?,
            capacity: view.word(layout.dataqsiz as u64)?,
            buffer: view.word(layout.buf as u64)?,
            is_closed: view.uint(layout.closed as u64, 4)? != 0,
            first: view.word(layout.recvx as u64)?,
            is_timer: match layout.timer {
                Some(timer) => view.word(timer as u64)? != 0,
                None => false,
            },
        };
        let size = self.types.get(element)?.size;
        let Header { count, capacity, first, .. } = header;
        let stored = view.uint(layout.elemsize as u64, 2)?;
        if count > capacity || first > capacity || stored != size || capacity.checked_mul(size).is_none() {
            return Err(Gap::Implausible(format!(
                "a channel of {count} of {capacity} elements of {stored} bytes"
            )));
        }
        Ok(header)
    }

    /// As `len` says: the channel of a timer is made to look unbuffered. (GODEBUG=asynctimerchan=1 lets the runtime know nothing
    /// of the timer, so that the field is nil; asynctimerchan=2, with which `len` would say more, is for Go's own debugging.)
    //
    // @go source runtime.chanlen (1.23..)
    pub(super) fn channel_length(&self, address: u64, element: TypeRef) -> Result<u64, Gap> {
        if address == 0 {
            return Ok(0);
        }
        let header = self.channel_header(address, element)?;
        Ok(if header.is_timer { 0 } else { header.count })
    }

    // @go source runtime.chancap (1.23..)
    pub(super) fn channel_capacity(&self, address: u64, element: TypeRef) -> Result<u64, Gap> {
        if address == 0 {
            return Ok(0);
        }
        let header = self.channel_header(address, element)?;
        Ok(if header.is_timer { 0 } else { header.capacity })
    }

    // @go source runtime.chanbuf
    pub(super) fn channel(&self, address: u64, element: TypeRef, walk: &mut Walk) -> Result<Value, Gap> {
        if address == 0 {
            return Ok(Value::Nil);
        }
        let header = self.channel_header(address, element)?;
        let (length, capacity) = if header.is_timer { (0, 0) } else { (header.count, header.capacity) };
        let size = self.types.get(element)?.size;
        let shown = length.min(self.limits.elements);
        let elements = match shown {
            0 => Value::List(Vec::new()),
            _ => walk
                .open(|walk| {
                    Ok(self.list(shown, walk, |i, walk| {
                        let slot = (header.first + i) % capacity;
                        let at = header.buffer.checked_add(slot * size);
                        let at = at.ok_or(Gap::Implausible("a channel's buffer behind all memory".into()))?;
                        Ok(self.at(&Place::At(at), element, walk))
                    }))
                })
                .map_or_else(Value::Missing, |values| cut_list(values, length)),
        };
        Ok(Value::Record(vec![
            ("length".into(), Value::Uint(length)),
            ("capacity".into(), Value::Uint(capacity)),
            ("closed".into(), Value::Bool(header.is_closed)),
            ("elements".into(), elements),
        ]))
    }
}
