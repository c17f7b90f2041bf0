//! The Win32 numbers that the simulation speaks, with the names nltest prints ([MS-ERREF] 2.2).

/// Success.
pub const OK: u32 = 0;
/// There is no such file or key.
pub const FILE_NOT_FOUND: u32 = 2;
/// The passwords of PC and directory differ; or the caller is not elevated.
pub const ACCESS_DENIED: u32 = 5;
/// A device does not work: the directory's number for a password that is not one.
pub const GEN_FAILURE: u32 = 31;
/// The request is not supported.
pub const NOT_SUPPORTED: u32 = 50;
/// The network path was not found.
pub const BAD_NETPATH: u32 = 53;
/// The password is wrong.
pub const INVALID_PASSWORD: u32 = 86;
/// A parameter is wrong.
pub const INVALID_PARAMETER: u32 = 87;
/// No logon server answers.
pub const NO_LOGON_SERVERS: u32 = 1311;
/// The user name or password is wrong.
pub const LOGON_FAILURE: u32 = 1326;
/// The user may not log on at this hour.
pub const INVALID_LOGON_HOURS: u32 = 1328;
/// The user may not log on from this workstation.
pub const INVALID_WORKSTATION: u32 = 1329;
/// The user's password has expired.
pub const PASSWORD_EXPIRED: u32 = 1330;
/// The password breaks the policy.
pub const PASSWORD_RESTRICTION: u32 = 1325;
/// The user account is disabled.
pub const ACCOUNT_DISABLED: u32 = 1331;
/// The domain cannot be found.
pub const NO_SUCH_DOMAIN: u32 = 1355;
/// The right to log on in this way is missing.
pub const LOGON_TYPE_NOT_GRANTED: u32 = 1385;
/// The clocks differ too much.
pub const TIME_SKEW: u32 = 1398;
/// A shutdown is in progress.
pub const SHUTDOWN_IN_PROGRESS: u32 = 1115;
/// A shutdown is scheduled already.
pub const SHUTDOWN_IS_SCHEDULED: u32 = 1190;
/// The data is no blob of an offline join.
pub const INVALID_DATA: u32 = 13;
/// There is an account of this name already.
pub const USER_EXISTS: u32 = 2224;
/// The PC is in a domain already.
pub const ALREADY_JOINED: u32 = 2691;
/// The PC is in no domain.
pub const NOT_JOINED: u32 = 2692;
/// A domain controller cannot be joined.
pub const IS_CONTROLLER: u32 = 2693;
/// There is no computer account, and none is to be created.
pub const COMPUTER_ACCOUNT_NOT_FOUND: u32 = 2697;
/// An offline join was taken in; it is in force after a restart.
pub const OFFLINE_JOIN_NEEDS_RESTART: u32 = 2713;
/// The policy of the directory keeps the account from being used again (0xaac).
pub const ACCOUNT_REUSE_BLOCKED: u32 = 2732;
/// The user has joined as many computers as a user may.
pub const ACCOUNT_QUOTA_EXCEEDED: u32 = 8557;
/// The RPC server is unavailable: locally, Netlogon does not run.
pub const RPC_SERVER_UNAVAILABLE: u32 = 1722;
/// The PC has no machine secret.
pub const NO_TRUST_LSA_SECRET: u32 = 1786;
/// The directory has no account for the PC, or a disabled one.
pub const NO_TRUST_SAM_ACCOUNT: u32 = 1787;
/// The user account has expired.
pub const ACCOUNT_EXPIRED: u32 = 1793;
/// The user's password must be changed before the first logon.
pub const PASSWORD_MUST_CHANGE: u32 = 1907;
/// The user account is locked.
pub const ACCOUNT_LOCKED_OUT: u32 = 1909;

/// Returns the symbol that nltest prints behind a status.
pub fn name(status: u32) -> &'static str {
    match status {
        OK => "NERR_Success",
        ACCESS_DENIED => "ERROR_ACCESS_DENIED",
        BAD_NETPATH => "ERROR_BAD_NETPATH",
        INVALID_PASSWORD => "ERROR_INVALID_PASSWORD",
        NO_LOGON_SERVERS => "ERROR_NO_LOGON_SERVERS",
        LOGON_FAILURE => "ERROR_LOGON_FAILURE",
        ACCOUNT_DISABLED => "ERROR_ACCOUNT_DISABLED",
        NO_SUCH_DOMAIN => "ERROR_NO_SUCH_DOMAIN",
        TIME_SKEW => "ERROR_TIME_SKEW",
        RPC_SERVER_UNAVAILABLE => "RPC_S_SERVER_UNAVAILABLE",
        NO_TRUST_LSA_SECRET => "ERROR_NO_TRUST_LSA_SECRET",
        NO_TRUST_SAM_ACCOUNT => "ERROR_NO_TRUST_SAM_ACCOUNT",
        ACCOUNT_LOCKED_OUT => "ERROR_ACCOUNT_LOCKED_OUT",
        _ => "",
    }
}
