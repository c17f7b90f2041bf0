//! The places of a credential one by one: whose each is, and what it has.

use fleetmend_directory::Limit;
use fleetmend_model::{CredentialRef, Host};

use super::{Choice, Given, Store, StoreError};
use crate::settings::Origin;

impl Store {
    /// Returns the account that the file names first for this credential, if it names any.
    ///
    /// # Errors
    /// There is no such credential, or its account has a variable that is not set.
    pub fn named_account(
        &self,
        name: &CredentialRef,
        host: Option<&Host>,
    ) -> Result<Option<String>, StoreError> {
        let choices = self.choices(name, self.entry(name)?, host)?;
        Ok(choices.into_iter().find_map(|choice| choice.user))
    }

    /// Returns the accounts of the places of a credential, each with the number of its place:
    /// the file's, or that of the vault's entry, which is looked at now. No account: nobody
    /// names one. A place that has nothing is left out, and so is LAPS, which names only
    /// accounts of the PC itself.
    ///
    /// # Errors
    /// There is no such credential, a variable is not set, or a vault cannot be asked.
    pub async fn accounts(
        &self,
        name: &CredentialRef,
        host: Option<&Host>,
        limit: &Limit,
    ) -> Result<Vec<(usize, Option<String>)>, StoreError> {
        let mut accounts = Vec::new();
        let choices = self.choices(name, self.entry(name)?, host)?;
        for (place, choice) in choices.into_iter().enumerate() {
            let user = match (&choice.user, &choice.password) {
                (None, Some(Origin::Laps { .. })) => continue,
                (None, Some(Origin::Vault { .. })) => {
                    match self.of(&choice, name, host, limit).await? {
                        Some(given) => given.user,
                        None => continue,
                    }
                }
                (user, _) => user.clone(),
            };
            accounts.push((place, user));
        }
        Ok(accounts)
    }

    /// Returns what one place of a credential has; none if it has nothing.
    ///
    /// # Errors
    /// There is no such credential, or the place cannot be asked.
    pub async fn fetch_place(
        &self,
        name: &CredentialRef,
        host: Option<&Host>,
        place: usize,
        limit: &Limit,
    ) -> Result<Option<Given>, StoreError> {
        let choices = self.choices(name, self.entry(name)?, host)?;
        match choices.get(place) {
            Some(choice) => self.of(choice, name, host, limit).await,
            None => Ok(None),
        }
    }

    async fn of(
        &self,
        choice: &Choice,
        name: &CredentialRef,
        host: Option<&Host>,
        limit: &Limit,
    ) -> Result<Option<Given>, StoreError> {
        match self.get(choice, host, limit).await {
            Ok(given) => Ok(Some(given)),
            Err(error) if error.absent => Ok(None),
            Err(error) => Err(StoreError::source(name, error)),
        }
    }
}
