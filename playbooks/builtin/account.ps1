# Tells as which account this runs, and what it may do here. Changes nothing.

param($Params)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$administrators = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-32-544'

# Returns the SID of the account of this name that the PC itself keeps; null where there is none,
# as on a domain controller. The PC's own name before it keeps the question from any controller.
function Get-LocalSid([string]$Computer, [string]$User) {
    try {
        $account = New-Object System.Security.Principal.NTAccount $Computer, $User
        return $account.Translate([System.Security.Principal.SecurityIdentifier])
    } catch [System.Security.Principal.IdentityNotMappedException] {
        return $null
    }
}

# Tells whether an account of this PC is enabled; null where Windows does not tell.
function Get-Enabled($Sid) {
    try {
        $filter = "LocalAccount = TRUE AND SID = '" + $Sid.Value + "'"
        $found = @(Get-CimInstance -ClassName Win32_UserAccount -Filter $filter -Property Disabled -OperationTimeoutSec 15)
    } catch {
        return $null
    }
    if ($found.Count -ne 1) { return $null }
    return -not $found[0].Disabled
}

$identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
$sid = $identity.User
$computer = [Environment]::MachineName
$user = @($identity.Name.Split('\'))[-1]

# SYSTEM and the accounts of services belong to no domain.
$local = $null -eq $sid.AccountDomainSid
if (-not $local) {
    $here = Get-LocalSid $computer $user
    $local = $null -ne $here -and $here.Equals($sid)
}

# In force, or only there to forbid: User Account Control cuts down the token of a network logon so.
$principal = New-Object System.Security.Principal.WindowsPrincipal $identity
$elevated = $principal.IsInRole($administrators)
$member = $elevated
# Of .NET 4.5 and later.
foreach ($claim in @($identity.Claims)) {
    if ($null -ne $claim -and $claim.Value -eq $administrators.Value) { $member = $true }
}

$enabled = $null
if ($local) { $enabled = Get-Enabled $sid }
$builtIn = $local -and $sid.IsWellKnown([System.Security.Principal.WellKnownSidType]::AccountAdministratorSid)

$name = $identity.Name
$sidText = $sid.Value
[PSCustomObject][ordered]@{
    name = $name
    sid = $sidText
    local = $local
    administrator = $member
    elevated = $elevated
    enabled = $enabled
    built_in_administrator = $builtIn
    computer_name = $computer
}
