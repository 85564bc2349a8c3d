-- The tables of a snapshot file, version 1. What every table and column means stands in the file's own table `about`
-- (about.rs). The tables probe_<name> are made at the end (probes.rs). Not STRICT, and no syntax newer than SQLite 3.31, so that old readers open the file as well.

create table snapshot (
    id               text primary key not null,
    label            text,
    taken_at_unix_ns integer not null,
    requested_by     text,
    tool_version     text not null,
    selector         text not null,
    probes           text,
    complete         integer not null,
    consistent_cut   integer not null,
    cut_overlap_ns   integer,
    duration_ns      integer not null
);

create table hosts (
    host_id         integer primary key,
    hostname        text not null,
    kernel          text,
    arch            text,
    node_version    text,
    clock_offset_ns integer,
    clock_error_ns  integer,
    state           text not null,
    reason          text,
    boot_id         text
);

create table processes (
    process_id           integer primary key,
    host_id              integer not null references hosts,
    pid                  integer not null,
    ns_pid               integer,
    started_unix_ns      integer,
    program              text not null,
    environment          text,
    instance             text,
    container_id         text,
    pod                  text,
    namespace            text,
    exe                  text,
    cmdline              text,
    main_module          text,
    build_id             text,
    go_version           text,
    arch                 text,
    threads              integer,
    goroutines           integer not null,
    reused               integer not null,
    pause_start_unix_ns  integer,
    pause_ns             integer,
    frozen_start_unix_ns integer,
    frozen_ns            integer,
    state                text not null,
    reason               text,
    environment_rules    text
);

create table functions (
    function_id         integer primary key,
    name                text not null,
    symbol              text not null,
    package             text not null,
    file                text not null,
    start_line          integer not null,
    is_standard_library integer not null
);

create table stacks (
    stack_id         integer primary key,
    build_id         text not null,
    depth            integer not null,
    stop_reason      text not null,
    user_function_id integer references functions (function_id),
    group_id         integer not null references stacks (stack_id),
    text             text not null
);

create table stack_frames (
    stack_id        integer not null references stacks,
    depth           integer not null,
    function_id     integer not null references functions,
    file            text not null,
    line            integer not null,
    inlined         integer not null,
    shown           integer not null,
    pc              integer not null,
    function_offset integer not null,
    primary key (stack_id, depth)
) without rowid;

create table go_statements (
    go_statement_id integer primary key,
    function_id     integer not null references functions,
    file            text not null,
    line            integer not null,
    function_offset integer not null,
    shown           integer not null
);

create table goroutines (
    goroutine_id                 integer primary key,
    process_id                   integer not null references processes,
    goid                         integer not null,
    status                       text not null,
    wait_reason                  text,
    blocked_since_after_unix_ns  integer,
    blocked_since_before_unix_ns integer,
    blocked_source               text,
    born_after_unix_ns           integer,
    born_before_unix_ns          integer,
    born_source                  text,
    stack_id                     integer not null references stacks,
    parent_goid                  integer,
    created_by_function_id       integer references functions (function_id),
    created_by_line              integer,
    go_statement_id              integer references go_statements,
    start_function_id            integer references functions (function_id),
    thread_id                    integer,
    on_cpu                       integer not null,
    is_system                    integer not null,
    labels                       text,
    header                       text not null,
    arguments                    text
);

create table waits (
    goroutine_id integer not null references goroutines,
    ordinal      integer not null,
    kind         text not null,
    "any"        integer not null,
    address      integer,
    detail       text,
    primary key (goroutine_id, ordinal)
) without rowid;

create table sockets (
    socket_id           integer primary key,
    process_id          integer not null references processes,
    fd                  integer not null,
    inode               integer not null,
    netns               integer not null,
    family              text not null,
    protocol            text not null,
    local               text not null,
    remote              text not null,
    state               text not null,
    receive_queue_bytes integer,
    send_queue_bytes    integer,
    peer_description    text,
    cookie              integer,
    peer_inode          integer,
    translated_local    text,
    translated_remote   text
);

create table goroutine_values (
    goroutine_id integer not null references goroutines,
    depth        integer not null,
    probe        text not null,
    name         text not null,
    type         text,
    value        text,
    address      integer,
    gap          text,
    primary key (goroutine_id, depth, probe, name)
) without rowid;

create table endpoints (
    endpoint_id      integer primary key,
    goroutine_id     integer not null references goroutines,
    socket_id        integer,
    role             text not null,
    protocol         text,
    stream_id        integer,
    method           text,
    started_unix_ns  integer,
    started_error_ns integer,
    started_source   text,
    trace_id         text,
    span_id          text,
    unmatched        text,
    source           text not null,
    parent_span_id   text,
    fd               integer,
    answered         integer,
    buffered_bytes   integer
);

create table links (
    link_id              integer primary key,
    name                 text,
    client_goroutine_id  integer references goroutines (goroutine_id),
    server_goroutine_id  integer references goroutines (goroutine_id),
    client_endpoint_id   integer,
    server_endpoint_id   integer,
    protocol             text,
    state                text,
    confidence           text not null,
    evidence             text,
    role                 text
);

create table derivations (
    kind       text not null,
    table_name text not null,
    name       text not null,
    source     text not null,
    primary key (kind, table_name, name)
) without rowid;

create table gaps (
    gap_id       integer primary key,
    host_id      integer references hosts,
    process_id   integer references processes,
    goroutine_id integer references goroutines,
    what         text not null,
    reason       text not null
);

create table about (
    name     text primary key not null,
    question text not null,
    columns  text not null,
    example  text not null
);
