//! Types of the standard library and a few others that mean more than their fields say.
//!
//! Their fields are found by name, in the type as the very build has it.

use crate::gap::Gap;
use crate::types::{Shape, Type, TypeRef};
use crate::value::buffer::View;
use crate::value::json::hex;
use crate::value::reader::{SliceHeader, Walk, is_byte};
use crate::value::{Reader, Value};

/// The state of a protobuf message beside its fields (google.golang.org/protobuf/internal/impl).
const PROTOBUF_STATE: &str = "google.golang.org/protobuf/internal/impl.MessageState";

impl Reader<'_> {
    /// `None` for types that are what their fields are.
    pub(super) fn named(&self, view: View<'_>, ty: &Type, walk: &mut Walk) -> Option<Result<Value, Gap>> {
        let name = ty.name.as_str();
        Some(match name {
            "time.Time" => self.time(view, ty),
            "time.Duration" => self.duration(view, ty),
            "sync.Mutex" | "internal/sync.Mutex" => self.mutex(view, ty),
            "sync.RWMutex" => self.rw_mutex(view, ty),
            "sync.WaitGroup" => self.wait_group(view, ty),
            "sync.Once" => self.once(view, ty),
            "sync.Cond" => self.cond(view, ty),
            "sync.Map" => self.sync_map(view, ty, walk),
            "context.Context" => self.context(view, walk),
            "net.IP" => self.ip(view),
            "net.IPMask" | "net.HardwareAddr" => self.hex_slice(view),
            "net/netip.Addr" => self.netip_text(view, ty),
            "net/netip.AddrPort" => self.netip_port(view, ty),
            "net/netip.Prefix" => self.netip_prefix(view, ty),
            "math/big.Int" => self.big_int(view, ty),
            // An alias of the second since Go 1.27.
            "encoding/json.RawMessage" | "encoding/json/jsontext.Value" => self.raw_message(view),
            _ if name.starts_with("sync/atomic.") || name.starts_with("internal/runtime/atomic.") => {
                return self.atomic(view, ty, walk);
            }
            _ => match &ty.shape {
                Shape::Array { element, length: 16 } if name.ends_with(".UUID") => {
                    self.uuid(view, *element)?
                }
                Shape::Struct(fields) if fields.iter().any(|field| field.name == "state") => {
                    self.protobuf(view, ty, walk)?
                }
                _ => return None,
            },
        })
    }

    /// A field's bytes and type, by a path of names: `mu.state`.
    pub(super) fn part<'v>(&self, view: View<'v>, ty: &Type, path: &str) -> Result<(View<'v>, TypeRef), Gap> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let unknown = || Gap::UnknownType(format!("{} has no field {first}", ty.name));
        let Shape::Struct(fields) = &ty.shape else { return Err(unknown()) };
        let field = fields.iter().find(|field| field.name == first).ok_or_else(unknown)?;
        let of = self.types.get(field.of)?;
        let view = view.part(field.offset, of.size)?;
        match rest {
            Some(rest) => self.part(view, &of, rest),
            None => Ok((view, field.of)),
        }
    }

    /// A number of a struct; that of an atomic type is in its last field.
    pub(super) fn number(&self, view: View<'_>, ty: &Type, path: &str) -> Result<u64, Gap> {
        let (mut view, mut of) = self.part(view, ty, path)?;
        // `atomic.Int32{_, v}` (sync/atomic/type.go).
        for _ in 0..4 {
            let ty = self.types.get(of)?;
            match &ty.shape {
                Shape::Int | Shape::Uint | Shape::Bool => return view.uint(0, ty.size),
                Shape::Struct(fields) => {
                    let last = fields.last().ok_or_else(|| Gap::UnknownType(ty.name.clone()))?;
                    view = view.part(last.offset, self.types.get(last.of)?.size)?;
                    of = last.of;
                }
                _ => return Err(Gap::UnknownType(ty.name.clone())),
            }
        }
        Err(Gap::UnknownType(ty.name.clone()))
    }

    fn uuid(&self, view: View<'_>, element: TypeRef) -> Option<Result<Value, Gap>> {
        match self.types.get(element) {
            Ok(element) if is_byte(&element) => Some(view.bytes().map(|bytes| {
                let digits = hex(bytes);
                let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
                Value::Text(groups.join("-"))
            })),
            _ => None,
        }
    }

    fn hex_slice(&self, view: View<'_>) -> Result<Value, Gap> {
        let header = SliceHeader::read(view)?;
        if header.data == 0 {
            return Ok(Value::Nil);
        }
        self.text_or_bytes(header.data, header.length, |_| false)
    }

    fn raw_message(&self, view: View<'_>) -> Result<Value, Gap> {
        let header = SliceHeader::read(view)?;
        if header.data == 0 {
            return Ok(Value::Nil);
        }
        self.text_or_bytes(header.data, header.length, |_| true)
    }

    /// A protobuf message without what the library keeps in it beside the known fields: `state`, `sizeCache`,
    /// `unknownFields`, and in older and in opaque messages whatever is named `XXX_`.
    fn protobuf(&self, view: View<'_>, ty: &Type, walk: &mut Walk) -> Option<Result<Value, Gap>> {
        let Shape::Struct(fields) = &ty.shape else { return None };
        let state = fields.iter().find(|field| field.name == "state")?;
        if self.types.get(state.of).ok()?.name != PROTOBUF_STATE {
            return None;
        }
        let known = |name: &str| {
            !matches!(name, "state" | "sizeCache" | "unknownFields" | "extensionFields")
                && !name.starts_with("XXX_")
        };
        // The opaque API hides fields so.
        let plain = |name: &str| name.strip_prefix("xxx_hidden_").unwrap_or(name).to_owned();
        let fields = fields.iter().filter(|field| known(&field.name)).cloned().collect();
        let ty = Type { name: ty.name.clone(), size: ty.size, shape: Shape::Struct(fields) };
        let value = walk.open(|walk| self.record(view, &ty, walk));
        Some(value.map(|value| match value {
            Value::Record(parts) => {
                Value::Record(parts.into_iter().map(|(name, value)| (plain(&name), value)).collect())
            }
            value => value,
        }))
    }
}
