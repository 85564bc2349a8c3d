//! `net.IP` and `net/netip`.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type};
use crate::value::buffer::View;
use crate::value::json::hex;
use crate::value::reader::SliceHeader;
use crate::value::{Reader, Value};

/// An address, as `netip.Addr` has it.
enum Address {
    Invalid,
    V4(Ipv4Addr),
    /// And its zone.
    V6(Ipv6Addr, String),
}

impl Address {
    fn text(&self) -> String {
        match self {
            Address::Invalid => "invalid IP".to_owned(),
            Address::V4(address) => address.to_string(),
            Address::V6(address, zone) if zone.is_empty() => address.to_string(),
            Address::V6(address, zone) => format!("{address}%{zone}"),
        }
    }
}

impl Reader<'_> {
    /// 4 or 16 bytes; an IPv4 address may have 16 (net/ip.go).
    pub(super) fn ip(&self, view: View<'_>) -> Result<Value, Gap> {
        let header = SliceHeader::read(view)?;
        if header.data == 0 {
            return Ok(Value::Nil);
        }
        if !matches!(header.length, 4 | 16) {
            return self.text_or_bytes(header.data, header.length, |_| false);
        }
        let buffer = self.read(&Place::At(header.data), header.length)?;
        let bytes = buffer.view().bytes()?;
        let text = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(bytes), _) => Ipv4Addr::from(bytes).to_string(),
            (_, Ok(bytes)) => {
                let address = Ipv6Addr::from(bytes);
                address.to_ipv4_mapped().map_or_else(|| address.to_string(), |address| address.to_string())
            }
            _ => hex(bytes),
        };
        Ok(Value::Text(text))
    }

    pub(super) fn netip_text(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        Ok(Value::Text(self.netip(view, ty)?.text()))
    }

    /// As `AddrPort.String` of net/netip.
    pub(super) fn netip_port(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let (address, of) = self.part(view, ty, "ip")?;
        let port = self.number(view, ty, "port")?;
        Ok(Value::Text(match self.netip(address, &*self.types.get(of)?)? {
            Address::Invalid => "invalid AddrPort".to_owned(),
            address @ Address::V4(_) => format!("{}:{port}", address.text()),
            address @ Address::V6(..) => format!("[{}]:{port}", address.text()),
        }))
    }

    /// As `Prefix.String` of net/netip.
    pub(super) fn netip_prefix(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let (address, of) = self.part(view, ty, "ip")?;
        let bits = self.number(view, ty, "bitsPlusOne")?;
        Ok(Value::Text(match bits.checked_sub(1) {
            None => "invalid Prefix".to_owned(),
            Some(bits) => format!("{}/{bits}", self.netip(address, &*self.types.get(of)?)?.text()),
        }))
    }

    /// An IPv4 address is kept as `::ffff:a.b.c.d`; of which family it is, and its zone, says `z`: nothing for no address;
    /// a `unique.Handle[addrDetail]` since Go 1.23, a pointer to an `intern.Value` before.
    fn netip(&self, view: View<'_>, ty: &Type) -> Result<Address, Gap> {
        let (high, low) = (self.number(view, ty, "addr.hi")?, self.number(view, ty, "addr.lo")?);
        let bits = u128::from(high) << 64 | u128::from(low);
        let (z, of) = self.part(view, ty, "z")?;
        let pointer = z.word(0)?;
        if pointer == 0 {
            return Ok(Address::Invalid);
        }
        let (is_v6, zone) = match &self.types.get(of)?.shape {
            Shape::Struct(_) => {
                let (_, handle) = self.part(z, &*self.types.get(of)?, "value")?;
                let Shape::Pointer(detail) = self.types.get(handle)?.shape else {
                    return Err(Gap::UnknownType("unique.Handle".into()));
                };
                let detail = self.types.get(detail)?;
                let buffer = self.read(&Place::At(pointer), detail.size)?;
                let is_v6 = self.number(buffer.view(), &detail, "isV6")? != 0;
                let (zone, of) = self.part(buffer.view(), &detail, "zoneV6")?;
                (is_v6, self.decode(&zone.place(), of))
            }
            Shape::Pointer(interned) => {
                let interned = self.types.get(*interned)?;
                let buffer = self.read(&Place::At(pointer), interned.size)?;
                let (zone, of) = self.part(buffer.view(), &interned, "cmpVal")?;
                (!self.is_z4(pointer, bits)?, self.decode(&zone.place(), of))
            }
            _ => return Err(Gap::UnknownType(ty.name.clone())),
        };
        let zone = match zone {
            Value::Dynamic { value, .. } => *value,
            zone => zone,
        };
        let zone = match zone {
            Value::Text(zone) => zone,
            Value::Nil => String::new(),
            Value::Missing(gap) | Value::Cut { gap, .. } => return Err(gap),
            _ => return Err(Gap::Implausible("an IPv6 zone that is no text".into())),
        };
        if is_v6 {
            return Ok(Address::V6(Ipv6Addr::from(bits), zone));
        }
        match bits >> 32 {
            0xffff => Ok(Address::V4(Ipv4Addr::from(bits as u32))),
            _ => Err(Gap::Implausible("an IPv4 address of more than 32 bits".into())),
        }
    }

    fn is_z4(&self, pointer: u64, bits: u128) -> Result<bool, Gap> {
        match self.facts.netip_z4 {
            Some(z4) => {
                let z4 = self.memory.read_u64(z4).map_err(|_| Gap::Unreadable(z4))?;
                Ok(z4 == pointer)
            }
            None if bits >> 32 != 0xffff => Ok(false),
            // Without symbols the two cannot be told apart: its fields are shown.
            None => Err(Gap::UnknownType("net/netip.Addr".into())),
        }
    }
}
