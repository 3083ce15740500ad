//! The owner's signs of life and end, beside its actions.
//!
//! On a connection of its own: an action of the same run may be under way on the kept one, and then the lock that it holds tells
//! as much. Tried once; a sign that is missing costs others some waiting and nothing else.

use pchat_planner::journal::Epoch;
use tokio::time::timeout;

use super::{Actor, BUDGET};
use crate::far_end::{ActError, Sign};
use crate::observe::{Clock, HOME};
use crate::sql::batches::guard::Warrant;
use crate::sql::batches::ownership;
use crate::sql::connect::connect;

impl Actor {
    /// Writes a sign at the far end.
    pub async fn sign(
        &self,
        sign: Sign,
        epoch: &Epoch,
        executor: &str,
        clock: Option<Clock>,
    ) -> Result<(), ActError> {
        let (database, deadlines) = (&self.ends.pool.database, &self.ends.deadlines);
        let not_sent = |detail: String| ActError::NotSent { target: database.clone(), detail };
        let target = self.ends.targets.get(&HOME).ok_or_else(|| not_sent("it is not declared.".into()))?;
        let until = clock.and_then(|clock| clock.now()).and_then(|now| now.checked_add(BUDGET).ok());
        let not_after = until.ok_or_else(|| not_sent("its clock is not known.".into()))?;
        let (epoch, executor) = (epoch.clone(), executor.to_owned());
        let warrant = Warrant { database: database.clone(), epoch, executor, not_after };
        let batch = match sign {
            Sign::Lives => ownership::renew(&warrant),
            Sign::Ended => ownership::end(&warrant),
        };
        let asked = async {
            let mut connection = connect(target, deadlines).await.map_err(|e| not_sent(e.to_string()))?;
            connection.ask(&batch, deadlines.look).await.map_err(|lost| not_sent(lost.to_string()))
        };
        let late = || not_sent("it did not answer in time.".into());
        let answer = timeout(deadlines.login + deadlines.look, asked).await.map_err(|_| late())??;
        match answer.error {
            None => Ok(()),
            Some(error) => match error.refusal() {
                Some(refusal) => Err(ActError::Refused { target: target.display.clone(), refusal }),
                None => Err(not_sent(error.message)),
            },
        }
    }
}
