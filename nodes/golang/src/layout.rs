//! Where the fields of the runtime's own structures lie: subsets of them, by the names that Go gives the fields.
//!
//! A mirror names the fields that Stillframe reads; their offsets come from the debug information of the very build
//! (`debug_info.rs`), or from a table of all releases where it has none
//! (`layout_table.rs`).

use std::collections::HashMap;

use thiserror::Error;

/// A structure type, as debug information describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    pub size: u64,
    /// Offset by name.
    pub fields: HashMap<String, u64>,
}

/// Structures by their Go names: `runtime.g`.
pub type Structures = HashMap<String, Structure>;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    #[error("debug information does not describe the runtime's type {0}")]
    NoType(&'static str),
    #[error("the runtime's type {0} has no field {1}")]
    NoField(&'static str, &'static str),
    #[error("the runtime's type {0} has an impossible layout")]
    Impossible(&'static str),
}

/// A structure of the runtime is at most this large; `runtime.m` has about 2,000 bytes.
const STRUCTURE_BYTES_MAX: u64 = 64 << 10;

fn structure<'a>(structures: &'a Structures, name: &'static str) -> Result<&'a Structure, LayoutError> {
    let structure = structures.get(name).ok_or(LayoutError::NoType(name))?;
    let fits = structure.fields.values().all(|&offset| offset <= structure.size);
    if structure.size > STRUCTURE_BYTES_MAX || !fits {
        return Err(LayoutError::Impossible(name));
    }
    Ok(structure)
}

/// Declares a mirror: a struct of offsets, and how it is filled. Fields behind `where` exist in some versions only.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident = $go:literal { $($ours:ident: $field:literal),* $(,)? }
        $(where { $($some:ident: $some_field:literal),* $(,)? })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name {
            pub(crate) size: usize,
            $(pub(crate) $ours: usize,)*
            $($(pub(crate) $some: Option<usize>,)*)?
        }

        impl $name {
            fn load(structures: &Structures) -> Result<Self, LayoutError> {
                let s = structure(structures, $go)?;
                Ok($name {
                    // `structure` has bounded the size, and the offsets by it.
                    size: s.size as usize,
                    $($ours: *s.fields.get($field).ok_or(LayoutError::NoField($go, $field))? as usize,)*
                    $($($some: s.fields.get($some_field).map(|&offset| offset as usize),)*)?
                })
            }
        }
    };
}

mirror! {
    /// A goroutine (runtime/runtime2.go).
    G = "runtime.g" {
        stack: "stack",
        m: "m",
        sched: "sched",
        syscallsp: "syscallsp",
        syscallpc: "syscallpc",
        stktopsp: "stktopsp",
        atomicstatus: "atomicstatus",
        goid: "goid",
        waitsince: "waitsince",
        waitreason: "waitreason",
        lockedm: "lockedm",
        parent_goid: "parentGoid",
        gopc: "gopc",
        startpc: "startpc",
        labels: "labels",
        waiting: "waiting",
        param: "param",
        parking_on_chan: "parkingOnChan",
        tracking_seq: "trackingSeq",
        gc_assist_bytes: "gcAssistBytes",
        timer: "timer",
    } where {
        // 1.23 and later.
        sleep_when: "sleepWhen",
        // 1.24.
        sync_group: "syncGroup",
        // 1.25 and later.
        bubble: "bubble",
        running_cleanups: "runningCleanups",
        // 1.26 and later.
        secret: "secret",
    }
}

mirror! {
    /// A thread of the runtime (runtime/runtime2.go).
    M = "runtime.m" {
        g0: "g0",
        procid: "procid",
        gsignal: "gsignal",
        curg: "curg",
        alllink: "alllink",
        vdso_sp: "vdsoSP",
        vdso_pc: "vdsoPC",
    }
}

mirror! {
    /// A processor of the scheduler (runtime/runtime2.go).
    P = "runtime.p" {
        status: "status",
        schedtick: "schedtick",
        goidcache: "goidcache",
        goidcacheend: "goidcacheend",
    }
}

mirror! {
    /// The scheduler (runtime/runtime2.go).
    Sched = "runtime.schedt" { goidgen: "goidgen" }
}

mirror! {
    /// Saved registers of a goroutine that does not run (runtime/runtime2.go).
    Gobuf = "runtime.gobuf" { sp: "sp", pc: "pc", g: "g", lr: "lr", bp: "bp" }
}

mirror! {
    /// Bounds of a stack (runtime/runtime2.go).
    StackBounds = "runtime.stack" { lo: "lo", hi: "hi" }
}

mirror! {
    /// A goroutine in a queue of waiters (runtime/runtime2.go).
    Sudog = "runtime.sudog" { g: "g", next: "next", elem: "elem", waitlink: "waitlink", c: "c" }
}

mirror! {
    /// Who waits for a `sync.Cond` (runtime/sema.go).
    NotifyList = "runtime.notifyList" { head: "head" }
}

mirror! {
    /// What the runtime's network poller knows of a file descriptor (runtime/netpoll.go).
    PollDesc = "runtime.pollDesc" { fd: "fd", rg: "rg", wg: "wg", rd: "rd", wd: "wd", this: "self" }
}

mirror! {
    /// A timer (runtime/time.go).
    Timer = "runtime.timer" { when: "when" }
}

mirror! {
    /// What the linker tells the runtime of a module (runtime/symtab.go).
    ModuleData = "runtime.moduledata" {
        pc_header: "pcHeader",
        funcnametab: "funcnametab",
        minpc: "minpc",
        text: "text",
        etext: "etext",
        gofunc: "gofunc",
        pclntable: "pclntable",
        next: "next",
        types: "types",
        etypes: "etypes",
    }
}

mirror! {
    /// A channel (runtime/chan.go).
    Channel = "runtime.hchan" {
        qcount: "qcount",
        dataqsiz: "dataqsiz",
        buf: "buf",
        elemsize: "elemsize",
        closed: "closed",
        recvx: "recvx",
        recvq: "recvq",
        sendq: "sendq",
    } where {
        // 1.23 and later.
        timer: "timer",
    }
}

// @go size runtime.hchan.{qcount,dataqsiz,buf,recvx} = 8
// @go size runtime.hchan.timer = none (..1.22), 8 (1.23..)
// @go size runtime.hchan.{recvq,sendq} = 16
// @go offset runtime.waitq.first = 0
// @go size runtime.hchan.elemsize = 2
// @go size runtime.hchan.closed = 4

// @go size runtime.moduledata.{pcHeader,minpc,text,etext,gofunc,next,types,etypes} = 8
// @go size runtime.moduledata.pclntable = 24
/// All of them, for one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layouts {
    pub(crate) g: G,
    pub(crate) m: M,
    pub(crate) gobuf: Gobuf,
    pub(crate) stack: StackBounds,
    pub(crate) module_data: ModuleData,
    pub(crate) sudog: Sudog,
    pub(crate) channel: Channel,
    /// The linker leaves it out of a program that waits for no `sync.Cond`.
    pub(crate) notify_list: Option<NotifyList>,
    pub(crate) poll_desc: PollDesc,
    pub(crate) timer: Timer,
    /// Where the ids of goroutines come from, if that is known.
    pub(crate) goids: Option<(P, Sched)>,
    /// `synctestBubble.id`.
    //
    // @go size runtime.synctestBubble.id = none (..1.24), 8 (1.25..)
    pub(crate) bubble_id: Option<usize>,
    /// `synctestGroup.root`.
    //
    // @go size runtime.synctestGroup.root = none (..1.23), 8 (1.24), none (1.25..)
    pub(crate) sync_group_root: Option<usize>,
}

impl Layouts {
    /// Names of the types whose layout is needed.
    pub(crate) const TYPES: [&str; 14] = [
        "runtime.g",
        "runtime.m",
        "runtime.p",
        "runtime.schedt",
        "runtime.gobuf",
        "runtime.stack",
        "runtime.moduledata",
        "runtime.sudog",
        "runtime.hchan",
        "runtime.notifyList",
        "runtime.pollDesc",
        "runtime.timer",
        "runtime.synctestBubble",
        "runtime.synctestGroup",
    ];

    pub(crate) fn load(structures: &Structures) -> Result<Self, LayoutError> {
        let field = |name: &str, field: &str| {
            let offset = *structures.get(name)?.fields.get(field)?;
            usize::try_from(offset).ok().filter(|&o| o as u64 <= STRUCTURE_BYTES_MAX)
        };
        Ok(Layouts {
            g: G::load(structures)?,
            m: M::load(structures)?,
            gobuf: Gobuf::load(structures)?,
            stack: StackBounds::load(structures)?,
            module_data: ModuleData::load(structures)?,
            sudog: Sudog::load(structures)?,
            channel: Channel::load(structures)?,
            notify_list: match NotifyList::load(structures) {
                Err(LayoutError::NoType(_)) => None,
                loaded => Some(loaded?),
            },
            poll_desc: PollDesc::load(structures)?,
            timer: Timer::load(structures)?,
            goids: P::load(structures).ok().zip(Sched::load(structures).ok()),
            bubble_id: field("runtime.synctestBubble", "id"),
            sync_group_root: field("runtime.synctestGroup", "root"),
        })
    }
}
