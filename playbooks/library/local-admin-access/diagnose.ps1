# Tells which local accounts of this PC could still let an administrator in over the network if
# its domain were lost: enabled, not locked, not expired, a member of Administrators, with whole
# rights and allowed to log on. Changes nothing and tries no password.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors, never a failed step. All calls are
# answered by this PC itself. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include local-account.ps1

# Reads one registry value; null where key or value is missing.
function Get-RegistryValue([string]$Key, [string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue($Name) } finally { $opened.Close() }
}

# Tells whether a right reaches an account: by itself, or by what every local administrator is
# over the network.
function Test-Held([string[]]$Holders, [string]$Sid) {
    # Everyone, Network, Authenticated Users, Local account, the same and member of
    # Administrators, Administrators, Users.
    $ways = @($Sid, 'S-1-1-0', 'S-1-5-2', 'S-1-5-11', 'S-1-5-113', 'S-1-5-114', 'S-1-5-32-544', 'S-1-5-32-545')
    foreach ($way in $ways) {
        if ($Holders -contains $way) { return $true }
    }
    return $false
}

# Lays out what Windows says of an account.
function Format-Account([string]$Name, $Read) {
    $rid = [long]$Read.Sid.Substring($Read.Sid.LastIndexOf('-') + 1)
    $now = ([datetime]::UtcNow - (New-Object datetime 1970, 1, 1, 0, 0, 0, ([System.DateTimeKind]::Utc))).TotalSeconds
    $member = $null
    if ($null -ne $members) { $member = $members -contains $Read.Sid }
    $whole = $null
    if ($null -ne $policy.uac) {
        $whole = -not $policy.uac -or $policy.remote_administrators
        # The built-in Administrator is whole unless a policy says otherwise.
        if ($policy.uac -and $rid -eq 500) { $whole = -not $policy.built_in_filtered }
    }
    $allowed = $null
    if ($null -ne $denied -and $null -ne $granted) {
        $allowed = (Test-Held $granted $Read.Sid) -and -not (Test-Held $denied $Read.Sid)
    }
    return [PSCustomObject][ordered]@{
        name = $Name
        sid = $Read.Sid
        rid = $rid
        # UF_ACCOUNTDISABLE, UF_LOCKOUT, UF_PASSWD_NOTREQD
        enabled = ($Read.Flags -band 2) -eq 0
        locked = ($Read.Flags -band 16) -ne 0
        expired = $Read.Expires -ne [uint32]::MaxValue -and $Read.Expires -le $now
        must_change = [bool]$Read.MustChange
        may_be_blank = ($Read.Flags -band 32) -ne 0
        administrator = $member
        full_token = $whole
        network_logon = $allowed
        bad_logons = [long]$Read.BadCount
        own = $Read.Sid -eq $own
    }
}

$computer = [PSCustomObject][ordered]@{ name = $null; domain_role = $null; part_of_domain = $null }
$null = Invoke-Probe 'computer' {
    $system = Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10
    $computer.name = [string]$system.Name
    $computer.domain_role = [int]$system.DomainRole
    $computer.part_of_domain = [bool]$system.PartOfDomain
}

$own = Invoke-Probe 'elevation' { [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value }
$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

$policy = [PSCustomObject][ordered]@{
    uac = $null; remote_administrators = $null; built_in_filtered = $null; laps = $null
    lockout_threshold = $null; lockout_window_seconds = $null; lockout_duration_seconds = $null
}
$null = Invoke-Probe 'policy' {
    $key = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    $policy.remote_administrators = (Get-RegistryValue $key 'LocalAccountTokenFilterPolicy') -eq 1
    $policy.built_in_filtered = (Get-RegistryValue $key 'FilterAdministratorToken') -eq 1
    # Without UAC no token is filtered. Last, as it says that the others are known.
    $policy.uac = (Get-RegistryValue $key 'EnableLUA') -ne 0
}
$null = Invoke-Probe 'laps' {
    $older = Get-RegistryValue 'SOFTWARE\Policies\Microsoft Services\AdmPwd' 'AdmPwdEnabled'
    $managed = $older -eq 1
    # Where the policy comes from: a management service, a group policy, a setting of this PC.
    $keys = 'SOFTWARE\Microsoft\Policies\LAPS', 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\LAPS',
        'SOFTWARE\Microsoft\Windows\CurrentVersion\LAPS\Config'
    foreach ($key in $keys) {
        $backup = Get-RegistryValue $key 'BackupDirectory'
        if ($null -ne $backup -and $backup -ne 0) { $managed = $true }
    }
    $policy.laps = $managed
}

$members = $null
$denied = $null
$granted = $null
$account = [PSCustomObject][ordered]@{
    found = $null; name = $null; sid = $null; rid = $null; enabled = $null; locked = $null
    expired = $null; must_change = $null; may_be_blank = $null; administrator = $null
    full_token = $null; network_logon = $null; bad_logons = $null; own = $null
}
$administrators = $null
# A domain controller has no local accounts.
if ($null -ne $computer.domain_role -and $computer.domain_role -lt 4) {
    $null = Invoke-Probe 'compile' { Import-LocalAccountApi }
    $lockout = Invoke-Probe 'lockout' {
        $answer = [Fleetmend.LocalAccount]::Lockout()
        Assert-Answer $answer
        $answer
    }
    if ($null -ne $lockout) {
        $policy.lockout_threshold = [long]$lockout.Threshold
        $policy.lockout_window_seconds = [long]$lockout.Window
        $policy.lockout_duration_seconds = [long]$lockout.Duration
    }
    $answer = Invoke-Probe 'members' { [Fleetmend.LocalAccount]::Members((Get-AdministratorsName)) }
    if ($null -ne $answer) {
        $null = Invoke-Probe 'members' { Assert-Answer $answer }
        if ($answer.Error -eq 0) { $members = @($answer.Items) }
    }
    $answer = Invoke-Probe 'rights' { [Fleetmend.LocalAccount]::Holders('SeDenyNetworkLogonRight') }
    if ($null -ne $answer) {
        $null = Invoke-Probe 'rights' { Assert-Answer $answer }
        if ($answer.Error -eq 0) { $denied = @($answer.Items) }
    }
    $answer = Invoke-Probe 'rights' { [Fleetmend.LocalAccount]::Holders('SeNetworkLogonRight') }
    if ($null -ne $answer) {
        $null = Invoke-Probe 'rights' { Assert-Answer $answer }
        if ($answer.Error -eq 0) { $granted = @($answer.Items) }
    }
    if ($Params.account) {
        $null = Invoke-Probe 'account' {
            $name = [string]$Params.account
            $read = [Fleetmend.LocalAccount]::Read($name)
            # NERR_UserNotFound
            if ($read.Error -eq 2221) {
                $account.found = $false
            } else {
                Assert-Answer $read
                $facts = Format-Account $name $read
                foreach ($field in $facts.PSObject.Properties) { $account.($field.Name) = $field.Value }
                $account.found = $true
            }
        }
    }
    if ($null -ne $members) {
        $found = New-Object System.Collections.ArrayList
        $null = Invoke-Probe 'administrators' {
            $names = [Fleetmend.LocalAccount]::Names()
            Assert-Answer $names
            foreach ($name in $names.Items) {
                $read = [Fleetmend.LocalAccount]::Read($name)
                if ($read.Error -ne 0 -or $members -notcontains $read.Sid) { continue }
                [void]$found.Add((Format-Account $name $read))
            }
        }
        $administrators = $found.ToArray()
    }
}

[PSCustomObject][ordered]@{
    elevated = $elevated
    computer = $computer
    account = $account
    administrators = $administrators
    policy = $policy
    network_logon_denied = $denied
    network_logon_granted = $granted
    probe_errors = $ProbeErrors.ToArray()
}
