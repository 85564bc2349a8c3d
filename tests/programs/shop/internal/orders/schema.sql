create table if not exists customers (
    name text primary key,
    spent_cents bigint not null default 0
);

create table if not exists orders (
    order_id text primary key,
    customer text not null references customers (name),
    sku text not null,
    quantity integer not null,
    total_cents bigint not null,
    status text not null,
    placed_at timestamptz not null default now()
);

create table if not exists outbox (
    event_id bigserial primary key,
    order_id text not null,
    event text not null,
    published_at timestamptz
);

create index if not exists outbox_unpublished on outbox (event_id) where published_at is null;
