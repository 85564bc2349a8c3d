-- Ages count to the moment in which the process stood still, on its own node's clock, which also took the bounds.

create view goroutine_list as
select g.goroutine_id,
       h.hostname as host,
       p.pod,
       p.program,
       p.instance,
       p.pid,
       g.goid,
       g.status,
       g.wait_reason,
       (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.blocked_since_before_unix_ns) / 1e9 as blocked_s_min,
       (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.blocked_since_after_unix_ns) / 1e9 as blocked_s_max,
       (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.born_before_unix_ns) / 1e9 as age_s_min,
       (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.born_after_unix_ns) / 1e9 as age_s_max,
       f.name as user_function,
       s.text as stack,
       g.labels,
       g.is_system
from stacks s
join goroutines g on g.stack_id = s.stack_id
join processes p on p.process_id = g.process_id
join hosts h on h.host_id = p.host_id
join snapshot n
left join functions f on f.function_id = s.user_function_id;

-- A group's text and user function are those of its first stack, whose id is the group's.
create view stack_groups as
with per_stack as (
    -- In the order of the index goroutines_by_stack, so that a million rows are counted without sorting.
    select stack_id, process_id, is_system, wait_reason, status,
           count(*) as goroutines,
           min(blocked_since_after_unix_ns) as blocked_since_after_unix_ns,
           min(goroutine_id) as example_goroutine_id
    from goroutines
    group by stack_id, process_id, is_system, wait_reason, status
),
counted as (
    select s.group_id,
           g.process_id,
           coalesce(g.wait_reason, g.status) as wait_reason,
           sum(g.goroutines) as goroutines,
           sum(g.goroutines * g.is_system) as system_goroutines,
           max(coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.blocked_since_after_unix_ns) / 1e9
               as blocked_s_max,
           min(g.example_goroutine_id) as example_goroutine_id
    from per_stack g
    join stacks s on s.stack_id = g.stack_id
    join processes p on p.process_id = g.process_id
    join snapshot n
    group by s.group_id, g.process_id, coalesce(g.wait_reason, g.status)
),
reasons as (
    select group_id, wait_reason, sum(goroutines) as goroutines
    from counted
    group by group_id, wait_reason
    order by group_id, goroutines desc, wait_reason
),
reason_lists as (
    select group_id, group_concat(goroutines || ' ' || wait_reason, ', ') as wait_reasons
    from reasons
    group by group_id
),
totals as (
    select group_id,
           sum(goroutines) as goroutines,
           sum(system_goroutines) as system_goroutines,
           count(distinct process_id) as processes,
           max(blocked_s_max) as blocked_s_max,
           min(example_goroutine_id) as example_goroutine_id
    from counted
    group by group_id
)
select t.group_id,
       t.goroutines,
       t.processes,
       t.blocked_s_max,
       l.wait_reasons,
       f.name as user_function,
       s.text as stack,
       t.example_goroutine_id,
       t.system_goroutines
from totals t
join reason_lists l on l.group_id = t.group_id
join stacks s on s.stack_id = t.group_id
left join functions f on f.function_id = s.user_function_id;

-- Goroutines with code of the program's own on their stack that is not below a server's request loop.
-- Where the age is known, long-lived means a minute or more.
create view background_jobs as
with job_stacks as (
    select stack_id, user_function_id
    from stacks
    where user_function_id is not null
      and text not like '%net/http.(*conn).serve %'
      and text not like '%http2%erverConn).runHandler%'
      and text not like '%google.golang.org/grpc.(*Server).%'
      and text not like '%google.golang.org/grpc/internal/transport.%'
)
select g.goroutine_id,
       p.program,
       p.instance,
       a.name as start_function,
       f.name as user_function,
       g.status,
       g.wait_reason,
       (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.born_before_unix_ns) / 1e9 as age_s_min,
       (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.blocked_since_before_unix_ns) / 1e9 as blocked_s_min,
       (select json_group_object(v.probe || '.' || v.name, json(v.value))
        from (select probe, name, value, min(depth)
              from goroutine_values
              where goroutine_id = g.goroutine_id
              group by probe, name) v) as "values",
       g.labels
from job_stacks s
join goroutines g on g.stack_id = s.stack_id
join processes p on p.process_id = g.process_id
join snapshot n
left join functions a on a.function_id = g.start_function_id
left join functions f on f.function_id = s.user_function_id
where g.is_system = 0
  and not exists (select 1 from endpoints e where e.goroutine_id = g.goroutine_id and e.role = 'server' and e.source <> 'waits')
  and (g.born_before_unix_ns is null
       or coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.born_before_unix_ns >= 60000000000);

-- A client that runs elsewhere is found by links between endpoints; what a request waits for in the end, by waits.
-- The goroutine that serves a stream of HTTP/2 was started for it, but for gRPC's workers (NumStreamWorkers). One that
-- serves a connection of HTTP/1.1 was not, and of what probe sets call a request nobody knows. A call that two goroutines wait
-- for is one request. Who waits for bytes of a connection serves nothing.
create view requests_in_flight as
select (coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns)
        - case when e.started_unix_ns is not null then e.started_unix_ns
               when e.protocol in ('http2', 'grpc') and s.text not like '%grpc.(*Server).serverWorker %'
               then g.born_before_unix_ns end) / 1e9 as age_s,
       case when e.started_unix_ns is not null then coalesce(e.started_source, 'captured')
            when e.protocol not in ('http2', 'grpc') or e.protocol is null
            then 'unknown: its goroutine was not started for this request'
            when s.text like '%grpc.(*Server).serverWorker %' then 'unknown: its goroutine is a worker of the server'
            when g.born_before_unix_ns is not null then 'at least; the start of its goroutine: ' || g.born_source
            else 'unknown: the policy of its node does not let processes be watched, or not for long enough' end
           as age_source,
       h.hostname as host,
       p.program,
       p.instance,
       e.protocol,
       e.method,
       coalesce(g.wait_reason, g.status) as waiting_on,
       null as roots,
       e.goroutine_id,
       l.client_goroutine_id,
       cp.program as client_program,
       e.trace_id,
       e.stream_id,
       e.span_id,
       e.unmatched,
       g.labels
from endpoints e
join goroutines g on g.goroutine_id = e.goroutine_id
join stacks s on s.stack_id = g.stack_id
join processes p on p.process_id = g.process_id
join hosts h on h.host_id = p.host_id
join snapshot n
left join links l on l.link_id = (
    select min(link_id) from links where server_endpoint_id = e.endpoint_id and state = 'in flight')
left join goroutines cg on cg.goroutine_id = l.client_goroutine_id
left join processes cp on cp.process_id = cg.process_id
where e.role = 'server'
  and e.source <> 'waits';

-- Who waits for whom: the links in which the client waits.
create view waits_for as
select client_goroutine_id as from_goroutine_id,
       server_goroutine_id as to_goroutine_id,
       coalesce(name, protocol) as kind,
       0 as "any",
       confidence
from links
where client_goroutine_id is not null
  and server_goroutine_id is not null
  and (role = 'blocked by' or state in ('in flight', 'unread'));
