-- Groups of a selection of processes and stacks, a row for each wait reason of each group.
with per_stack as (
    -- In the order of the index goroutines_by_stack, so that a million rows are counted without sorting.
    select stack_id, process_id, is_system, wait_reason, status,
           count(*) as goroutines,
           min(blocked_since_after_unix_ns) as blocked_since_after_unix_ns,
           min(goroutine_id) as example_goroutine_id
    from goroutines
    group by stack_id, process_id, is_system, wait_reason, status
),
counted as materialized (
    select s.group_id,
           g.process_id,
           coalesce(g.wait_reason, g.status) as wait_reason,
           sum(g.goroutines) as goroutines,
           max(coalesce(p.frozen_start_unix_ns, n.taken_at_unix_ns) - g.blocked_since_after_unix_ns) / 1e9
               as blocked_s_max,
           min(g.example_goroutine_id) as example_goroutine_id
    from per_stack g
    join stacks s on s.stack_id = g.stack_id
    join processes p on p.process_id = g.process_id
    join snapshot n
    where (:system or g.is_system = 0)
      and (:pid is null or p.pid = :pid)
      and (:program is null or p.program glob :program)
      and (:pattern is null or s.text like :pattern escape '\')
    group by 1, 2, 3
),
totals as materialized (
    select group_id,
           sum(goroutines) as goroutines,
           count(distinct process_id) as processes,
           max(blocked_s_max) as blocked_s_max,
           min(example_goroutine_id) as example_goroutine_id
    from counted
    group by group_id
),
first as (
    select * from totals order by goroutines desc, group_id limit :limit
),
reasons as (
    select group_id, wait_reason, sum(goroutines) as of_reason from counted group by 1, 2
)
select t.*,
       r.wait_reason,
       r.of_reason,
       f.name as user_function,
       s.text as stack,
       (select count(*) from totals) as groups_total,
       (select sum(goroutines) from totals) as goroutines_total
from first t
join reasons r on r.group_id = t.group_id
join stacks s on s.stack_id = t.group_id
left join functions f on f.function_id = s.user_function_id
order by t.goroutines desc, t.group_id, r.of_reason desc, r.wait_reason;
