# Tells what must be known before this PC leaves its domain or joins it again: whether we can log on
# afterwards, whether the network still lets us in, what the domain was, and whether a restart may
# be. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: rejoin-safety.takes.json and .gives.json.
# A probe that fails yields null and an entry in probe_errors, never a failed step; the guards hold
# null for no. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include clock.ps1
#include ports.ps1
#include membership.ps1
#include local-account.ps1
#include restart-safety.ps1
#include freeze-signs.ps1
#include write-filter.ps1
#include firewall.ps1

# Returns what is above an object: its distinguished name from behind the first comma that
# separates.
function Get-Parent([string]$Name) {
    for ($i = 0; $i -lt $Name.Length; $i++) {
        if ($Name[$i] -eq '\') { $i++; continue }
        if ($Name[$i] -eq ',') { return $Name.Substring($i + 1) }
    }
    return $null
}

$member = [PSCustomObject][ordered]@{
    name = $null; domain_role = $null; part_of_domain = $null
    domain = $null; netbios_name = $null; sid = $null; dn = $null; ou = $null
}
$null = Invoke-Probe 'computer' {
    $system = Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10
    $member.name = [string]$system.Name
    $member.domain_role = [int]$system.DomainRole
    $member.part_of_domain = [bool]$system.PartOfDomain
}
$null = Invoke-Probe 'domain' {
    Import-MembershipApi
    $primary = [Fleetmend.Membership]::Primary()
    Assert-Answer $primary
    if ($primary.DnsName) { $member.domain = $primary.DnsName.ToLowerInvariant() }
    if ($primary.NetBiosName) { $member.netbios_name = $primary.NetBiosName }
    if ($primary.Sid) { $member.sid = $primary.Sid }
}
$null = Invoke-Probe 'domain' {
    # What Group Policy was last applied to.
    $dn = Read-MachineValue 'SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\State\Machine' 'Distinguished-Name'
    if ($dn) {
        $member.dn = [string]$dn
        $member.ou = Get-Parent ([string]$dn)
    }
}

$account = [PSCustomObject][ordered]@{
    sid = $null; local = $null; built_in = $null; enabled = $null; expires_in_seconds = $null
    administrator = $null; elevated = $null; full_token = $null; network_logon = $null
}
$policy = [PSCustomObject][ordered]@{ uac = $null; remote_administrators = $null; local_accounts_denied = $null }
$null = Invoke-Probe 'policy' {
    $key = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    $policy.remote_administrators = (Read-MachineValue $key 'LocalAccountTokenFilterPolicy') -eq 1
    # Without UAC no token is filtered. Last, as it says that the other is known.
    $policy.uac = (Read-MachineValue $key 'EnableLUA') -ne 0
}
$null = Invoke-Probe 'account' {
    Import-LocalAccountApi
    $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $account.sid = $identity.User.Value
    $principal = New-Object System.Security.Principal.WindowsPrincipal $identity
    # False for an administrator whose token UAC has filtered.
    $account.elevated = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    $name = $identity.Name.Substring($identity.Name.LastIndexOf('\') + 1)
    $read = [Fleetmend.LocalAccount]::Read($name)
    # A domain account may have the name of a local one, but not its SID.
    $account.local = $read.Error -eq 0 -and $read.Sid -eq $account.sid
    if ($account.local) {
        $rid = [long]$read.Sid.Substring($read.Sid.LastIndexOf('-') + 1)
        $account.built_in = $rid -eq 500
        # UF_ACCOUNTDISABLE, UF_LOCKOUT
        $account.enabled = ($read.Flags -band 18) -eq 0 -and -not $read.MustChange
        if ($read.Expires -ne [uint32]::MaxValue) {
            $epoch = New-Object datetime 1970, 1, 1, 0, 0, 0, ([System.DateTimeKind]::Utc)
            $account.expires_in_seconds = [long]$read.Expires - [long]([datetime]::UtcNow - $epoch).TotalSeconds
        }
        if ($null -ne $policy.uac) {
            $filtered = Read-MachineValue 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' 'FilterAdministratorToken'
            $account.full_token = -not $policy.uac -or $policy.remote_administrators
            if ($policy.uac -and $account.built_in) { $account.full_token = $filtered -ne 1 }
        }
    }
}
$null = Invoke-Probe 'members' {
    $members = [Fleetmend.LocalAccount]::Members((Get-AdministratorsName))
    Assert-Answer $members
    # By itself: a group of the domain in between is gone with it.
    $account.administrator = @($members.Items) -contains $account.sid
}
$null = Invoke-Probe 'rights' {
    $denied = [Fleetmend.LocalAccount]::Holders('SeDenyNetworkLogonRight')
    Assert-Answer $denied
    $granted = [Fleetmend.LocalAccount]::Holders('SeNetworkLogonRight')
    Assert-Answer $granted
    # Everyone, Network, Authenticated Users, Local account, the same and member of
    # Administrators, Administrators, Users.
    $ways = @('S-1-1-0', 'S-1-5-2', 'S-1-5-11', 'S-1-5-113', 'S-1-5-114', 'S-1-5-32-544', 'S-1-5-32-545')
    $kept = @($ways | Where-Object { $denied.Items -contains $_ }).Count -gt 0
    $let = @($ways | Where-Object { $granted.Items -contains $_ }).Count -gt 0
    $policy.local_accounts_denied = $kept -or -not $let
    $own = $granted.Items -contains $account.sid
    $account.network_logon = ($let -or $own) -and -not $kept -and $denied.Items -notcontains $account.sid
}

# From here and now: the cable may have been pulled since the diagnosis.
$dc = [PSCustomObject][ordered]@{
    located = $null; error = $null; name = $null
    ports = [PSCustomObject][ordered]@{ tcp_88 = $null; tcp_135 = $null; tcp_389 = $null; tcp_445 = $null }
}
$null = Invoke-Probe 'locate' {
    $address = $null
    if ($Params.domain_controller) {
        $dc.name = ([string]$Params.domain_controller).ToLowerInvariant()
        $dc.located = $false
        # WSAHOST_NOT_FOUND, until the call says otherwise.
        $dc.error = 11001L
        $address = Resolve-Address $dc.name 8000
        $dc.located = $true
        $dc.error = 0L
    } else {
        $found = Find-DomainController ([string]$Params.domain) 30000
        $dc.error = $found.error
        $dc.located = $found.error -eq 0
        $dc.name = $found.name
        if ($dc.located) { $address = Resolve-Address $dc.name 8000 }
    }
    if ($null -ne $address) {
        $open = Test-Ports $address @(88, 135, 389, 445) 3000
        foreach ($port in $open.Keys) { $dc.ports.('tcp_' + $port) = $open[$port] }
    }
}

$users = Invoke-Probe 'users' { Get-SignedInUsers }
if ($null -eq $users) { $users = [PSCustomObject][ordered]@{ active = $null; disconnected = $null } }
$pending = Invoke-Probe 'pending' { Get-PendingRestart }
if ($null -eq $pending) {
    $pending = [PSCustomObject][ordered]@{
        servicing = $null; windows_update = $null; file_renames = $null
        join = $null; rename = $null; shutting_down = $null
    }
}
$power = Invoke-Probe 'power' { Get-Power }
if ($null -eq $power) { $power = [PSCustomObject][ordered]@{ on_battery = $null; percent = $null; low = $null } }
$protection = Invoke-Probe 'bitlocker' { Get-BitLockerProtection }
$filter = Invoke-Probe 'write-filter' { Get-WriteFilter }
if ($null -eq $filter) { $filter = [PSCustomObject][ordered]@{ uwf_enabled = $null; products = $null } }
$admission = Invoke-Probe 'firewall' { Get-Admission }
if ($null -eq $admission) { $admission = [PSCustomObject][ordered]@{ sessions = @(); private = $null; public = $null } }

[PSCustomObject][ordered]@{
    member = $member
    account = $account
    policy = $policy
    dc = $dc
    users = $users
    pending = $pending
    power = $power
    bitlocker_protection = $protection
    write_filter = $filter
    firewall = $admission
    probe_errors = $ProbeErrors.ToArray()
}
