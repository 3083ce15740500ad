//! Writing down what was seen of a silent side. It is beside every plan: nothing waits for it, and nothing is concluded from it.

use pchat_planner::journal::{Epoch, Note};

use super::{Actor, BUDGET};
use crate::observe::{Clock, HOME};
use crate::sql::batches::guard::Warrant;
use crate::sql::batches::silence;
use crate::sql::connect::connect;

impl Actor {
    /// Writes a note on a connection of its own. What another run wrote meanwhile is no failure: the next look shows it.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub async fn note(&self, note: &Note, executor: &str, clock: Option<Clock>) -> Result<(), String> {
        let target = self.ends.targets.get(&HOME).ok_or("the backup instance is not declared")?;
        let deadlines = &self.ends.deadlines;
        let now = clock.and_then(|c| c.now()).and_then(|now| now.checked_add(BUDGET).ok());
        let warrant = Warrant {
            database: self.ends.pool.database.clone(),
            epoch: Epoch(String::new()),
            executor: executor.to_owned(),
            not_after: now.ok_or("the far end's clock is not known yet")?,
        };
        let batch = silence::note(&warrant, note)?;
        let mut connection = connect(target, deadlines).await.map_err(|error| error.to_string())?;
        let answer = connection.ask(&batch, deadlines.batch).await.map_err(|lost| lost.to_string())?;
        match answer.error {
            Some(error) if error.refusal().is_none() => Err(crate::sql::explain::explain(&error).what),
            _ => Ok(()),
        }
    }
}
