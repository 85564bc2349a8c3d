//! The descriptor of a network connection: what a `net.Conn` is or wraps.
//!
//! Connections are wrapped: by `crypto/tls`, by limits and multiplexers that embed a `net.Conn`, by drivers. What is followed is
//! what a struct embeds, and fields whose types are connections by their names (`net.Conn`, `*pgconn.PgConn`), through pointers,
//! interfaces and atomic variables, until `net.netFD` is reached. A value that leads to two descriptors leads to none: which of
//! them it speaks through is not known. Files are no connections.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Field, Shape, Type, TypeRef};
use crate::value::{Reader, atomic_value};

/// Structs, pointers and interfaces that are looked at.
const VISITED_MAX: usize = 128;
/// Of them, one within another.
const NESTING_MAX: usize = 24;

impl Reader<'_> {
    /// See the head of this file.
    //
    // @go size internal/poll.FD.Sysfd = 8
    pub fn descriptor_of_connection(&self, place: &Place, of: TypeRef) -> Result<i64, Gap> {
        let mut found: Option<i64> = None;
        let mut seen: Vec<(u64, TypeRef)> = Vec::new();
        let mut open = vec![(place.clone(), of, 0)];
        let mut visited = 0;
        while let Some((place, of, nesting)) = open.pop() {
            visited += 1;
            if visited > VISITED_MAX || nesting > NESTING_MAX {
                return Err(Gap::Depth);
            }
            if let Place::At(address) = place {
                if seen.contains(&(address, of)) {
                    continue;
                }
                seen.push((address, of));
            }
            let ty = self.open_type(of)?;
            match &ty.shape {
                Shape::Interface { .. } => match self.dynamic(&place, of) {
                    Ok((held, at)) => open.push((at, held, nesting + 1)),
                    Err(Gap::NilInterface) => {}
                    Err(gap) => return Err(gap),
                },
                Shape::Pointer(to) => match self.target(&place) {
                    Ok(at) => open.push((at, *to, nesting + 1)),
                    Err(Gap::NilPointer) => {}
                    Err(gap) => return Err(gap),
                },
                Shape::Struct(_) if ty.name == "net.netFD" => {
                    let descriptor = self.descriptor_of(&place, &ty)?;
                    if found.is_some_and(|found| found != descriptor) {
                        return Err(Gap::NoDescriptor("it holds several connections"));
                    }
                    found = Some(descriptor);
                }
                Shape::Struct(_) if ty.name.starts_with("sync/atomic.") => {
                    let held = self.held_by_atomic(&place, of, &ty)?;
                    open.extend(held.map(|(at, held)| (at, held, nesting + 1)));
                }
                Shape::Struct(fields) => {
                    for field in fields {
                        if self.leads_to_connection(field)? {
                            open.push((self.field(&place, field, &ty), field.of, nesting + 1));
                        }
                    }
                }
                _ => {}
            }
        }
        match found {
            None => Err(Gap::NoDescriptor("it holds no network connection")),
            // What internal/poll leaves when it closes one (fd_mutex.go, fd_unix.go, (*FD).destroy).
            Some(..0) => Err(Gap::NoDescriptor("its connection is closed")),
            Some(descriptor) => Ok(descriptor),
        }
    }

    /// `None`: it is another type of that package.
    fn held_by_atomic(&self, place: &Place, of: TypeRef, ty: &Type) -> Result<Option<(Place, TypeRef)>, Gap> {
        atomic_value(self.types, ty)?.map(|_| self.load(place, of)).transpose()
    }

    fn descriptor_of(&self, place: &Place, net_fd: &Type) -> Result<i64, Gap> {
        let part = |place: &Place, ty: &Type, name: &str| {
            let unknown = || Gap::UnknownType(format!("{}.{name}", ty.name));
            let Shape::Struct(fields) = &ty.shape else { return Err(unknown()) };
            let field = fields.iter().find(|field| field.name == name).ok_or_else(unknown)?;
            Ok((self.field(place, field, ty), field.of))
        };
        let (poll, of) = part(place, net_fd, "pfd")?;
        let (descriptor, of) = part(&poll, &*self.open_type(of)?, "Sysfd")?;
        i32::try_from(self.integer(&descriptor, of)?)
            .map(i64::from)
            .map_err(|_| Gap::Implausible("a descriptor that is none".to_owned()))
    }

    fn leads_to_connection(&self, field: &Field) -> Result<bool, Gap> {
        let ty = self.types.get(field.of)?;
        Ok(match ty.shape {
            Shape::Interface { .. } | Shape::Pointer(_) | Shape::Struct(_) => {
                // `netConnAtomic`: an atomic variable's type says nothing of what it holds.
                let is_atomic = || {
                    ty.name.starts_with("sync/atomic.") && field.name.to_ascii_lowercase().contains("conn")
                };
                field.is_embedded || names_connection(&ty.name) || is_atomic()
            }
            _ => false,
        })
    }
}

/// Whether the name of a type says that it is a connection's: `*github.com/jackc/pgx/v5.Conn`, `net.conn`. Asked of every field
/// that is passed, in the stop.
fn names_connection(name: &str) -> bool {
    let whole = match name.find('[') {
        None | Some(0) => name,
        Some(arguments) => &name[..arguments],
    };
    ["conn", "connection", "netfd"].iter().any(|end| {
        let from = whole.len().wrapping_sub(end.len());
        whole.get(from..).is_some_and(|found| found.eq_ignore_ascii_case(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::fake::Fake;
    use crate::value::{NoRedaction, Redact};

    /// `net.TCPConn` and what it is made of, and the address of one with a descriptor.
    struct Net {
        fake: Fake,
        conn: TypeRef,
        tcp: TypeRef,
        tcp_descriptor: u64,
        fd_pointer: TypeRef,
    }

    impl Net {
        fn new() -> Net {
            let mut fake = Fake::new();
            let int = fake.int();
            let poll = fake.structure("internal/poll.FD", 24, &[("fdmu", 0, int), ("Sysfd", 16, int)]);
            let net_fd = fake.structure("net.netFD", 32, &[("pfd", 0, poll), ("family", 24, int)]);
            let fd_pointer = fake.ty("*net.netFD", 8, Shape::Pointer(net_fd));
            let conn = fake.structure("net.conn", 8, &[("fd", 0, fd_pointer)]);
            let tcp = fake.structure("net.TCPConn", 8, &[("conn", 0, conn)]);
            let tcp_pointer = fake.ty("*net.TCPConn", 8, Shape::Pointer(tcp));
            let conn = fake.ty("net.Conn", 16, Shape::Interface { has_methods: true });
            let tcp_descriptor = fake.descriptor(tcp_pointer, 22, true);
            Net { fake, conn, tcp, tcp_descriptor, fd_pointer }
        }

        /// The words of a `net.Conn` that holds a `*net.TCPConn`.
        fn holding(&mut self, descriptor: i64) -> [u64; 2] {
            let fd = self.fake.words(&[0, 0, descriptor as u64, 2]);
            let tcp = self.fake.words(&[fd]);
            self.interface(self.tcp_descriptor, tcp)
        }

        fn interface(&mut self, descriptor: u64, data: u64) -> [u64; 2] {
            [self.fake.words(&[0, descriptor, u64::from(crate::value::fake::HASH)]), data]
        }

        fn wrapper(&mut self, name: &str, fields: &[(&str, u64, TypeRef)], embeds: bool) -> (TypeRef, u64) {
            let size = 16 * fields.len() as u64;
            let made = |&(name, offset, of): &(&str, u64, TypeRef)| Field {
                name: name.into(),
                of,
                offset,
                is_embedded: embeds,
            };
            let of = self.fake.ty(name, size, Shape::Struct(fields.iter().map(made).collect()));
            let pointer = self.fake.ty(&format!("*{name}"), 8, Shape::Pointer(of));
            (pointer, self.fake.descriptor(pointer, 22, true))
        }

        fn of(&self, words: u64, of: TypeRef) -> Result<i64, Gap> {
            self.fake.reader(&NoRedaction).descriptor_of_connection(&Place::At(words), of)
        }
    }

    #[test]
    fn the_descriptor_of_what_a_connection_wraps_is_found() {
        let mut net = Net::new();
        let inner = net.holding(7);
        let plain = net.fake.words(&inner);
        assert_eq!(net.of(plain, net.conn), Ok(7));
        // crypto/tls has it as a field, a limit of connections embeds it; one within the other.
        let conn = net.conn;
        let (_, tls) = net.wrapper("crypto/tls.Conn", &[("conn", 0, conn)], false);
        let (_, limited) = net.wrapper("x/netutil.limited", &[("Conn", 0, conn)], true);
        let within = net.fake.words(&inner);
        let of_tls = net.interface(tls, within);
        let within = net.fake.words(&of_tls);
        let of_limited = net.interface(limited, within);
        let outer = net.fake.words(&of_limited);
        assert_eq!(net.of(outer, conn), Ok(7));
        // The connection itself, without an interface.
        assert_eq!(net.of(inner[1], net.tcp), Ok(7));
    }

    #[test]
    fn two_connections_are_none_and_twice_the_same_is_one() {
        let mut net = Net::new();
        let (one, other) = (net.holding(7), net.holding(8));
        let conn = net.conn;
        let (_, pair) = net.wrapper("x/proxy.pairConn", &[("in", 0, conn), ("out", 16, conn)], false);
        for (words, wanted) in [
            ([one, other], Err(Gap::NoDescriptor("it holds several connections"))),
            ([one, one], Ok(7)),
            ([one, [0, 0]], Ok(7)),
            ([[0, 0], [0, 0]], Err(Gap::NoDescriptor("it holds no network connection"))),
        ] {
            let at = net.fake.words(&words.concat());
            let held = net.interface(pair, at);
            let outer = net.fake.words(&held);
            assert_eq!(net.of(outer, conn), wanted, "{words:x?}");
        }
    }

    #[test]
    fn what_is_closed_missing_or_endless_is_a_gap() {
        let mut net = Net::new();
        let closed = net.holding(-1);
        let at = net.fake.words(&closed);
        assert_eq!(net.of(at, net.conn), Err(Gap::NoDescriptor("its connection is closed")));
        let huge = net.holding(1 << 40);
        let at = net.fake.words(&huge);
        assert_eq!(net.of(at, net.conn), Err(Gap::Implausible("a descriptor that is none".into())));
        let away = net.interface(net.tcp_descriptor, 0x99_0000);
        let at = net.fake.words(&away);
        assert_eq!(net.of(at, net.conn), Err(Gap::Unreadable(0x99_0000)));
        // A wrapper of itself, and one that is a file.
        let conn = net.conn;
        let (_, own) = net.wrapper("x/own.Conn", &[("Conn", 0, conn)], true);
        let at = net.fake.here();
        let table = at + 16 + 64;
        net.fake.words(&[table, at]);
        net.fake.words(&[0, own, u64::from(crate::value::fake::HASH)]);
        assert_eq!(net.of(at, conn), Err(Gap::NoDescriptor("it holds no network connection")));
        // Memory that is not there is asked for, as that of other values.
        let fd_pointer = net.fd_pointer;
        let dangling = net.fake.words(&[0x55_0000]);
        assert_eq!(net.of(dangling, fd_pointer), Err(Gap::Unreadable(0x55_0010)));
    }

    #[test]
    fn what_must_not_leave_the_host_is_not_followed() {
        struct Hidden;
        impl Redact for Hidden {
            fn hides_type(&self, name: &str) -> bool {
                name == "net.conn"
            }

            fn hides_field(&self, _: &str, _: &str) -> bool {
                false
            }
        }
        let mut net = Net::new();
        let inner = net.holding(7);
        let at = net.fake.words(&inner);
        let reader = net.fake.reader(&Hidden);
        assert_eq!(reader.descriptor_of_connection(&Place::At(at), net.conn), Err(Gap::Redacted));
    }

    #[test]
    fn connections_are_told_by_their_names() {
        for name in
            ["net.Conn", "*github.com/jackc/pgx/v5/pgconn.PgConn", "*net.netFD", "database/sql/driver.Conn"]
        {
            assert!(names_connection(name), "{name}");
        }
        for name in ["*net/http.Transport", "io.Reader", "*x.ConnConfig", "*bufio.Reader"] {
            assert!(!names_connection(name), "{name}");
        }
    }
}
