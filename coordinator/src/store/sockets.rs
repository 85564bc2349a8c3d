//! The sockets of a process on their way into the file.

use rusqlite::params;
use stillframe_wire::facts::Socket;

use super::defect;
use super::file::Database;
use super::load::Refusal;
use super::tables::Tables;

/// Of one process.
#[derive(Default)]
pub(super) struct SocketLoad {
    last_fd: Option<u32>,
}

impl SocketLoad {
    pub(super) fn insert(
        &mut self,
        database: &Database,
        tables: &mut Tables,
        process_id: i64,
        sockets: &[Socket],
    ) -> Result<(), Refusal> {
        let mut insert = database
            .prepare("insert into sockets values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        for socket in sockets {
            defect::socket(socket, self.last_fd)?;
            self.last_fd = Some(socket.fd);
            tables.sockets += 1;
            let row = params![
                tables.sockets,
                process_id,
                socket.fd,
                defect::socket_number(socket.inode)?,
                defect::socket_number(socket.netns)?,
                socket.family,
                socket.protocol,
                socket.local,
                socket.remote,
                socket.state,
                socket.receive_queue_bytes,
                socket.send_queue_bytes,
                socket.peer_description,
                socket.cookie.map(u64::cast_signed),
                socket.peer_inode.map(defect::socket_number).transpose()?,
                socket.translated_local,
                socket.translated_remote,
            ];
            database.insert(&mut insert, row)?;
        }
        Ok(())
    }
}
