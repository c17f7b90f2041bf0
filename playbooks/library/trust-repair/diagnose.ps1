# Gathers the facts about the trust between this PC and its domain. Changes nothing that lasts:
# it writes no secret and no setting. Two probes are active all the same, because only
# they tell the truth: nltest /sc_verify makes Netlogon try its channel now and, where it is
# broken, look for a controller and set the channel up again with the secret it has; and
# nltest /dsgetdc /force makes the locator forget what it remembers. Windows does both by itself
# whenever somebody logs on.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors, never a failed step; each is
# bounded in time. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include machine-secret.ps1
#include clock.ps1
#include ports.ps1
#include left-domain.ps1

# Writes a time as RFC 3339 in UTC, whatever the calendar of the PC.
function Format-Time([datetime]$Time) {
    return $Time.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ', $Invariant)
}

# Reads one registry value; null where key or value is missing.
function Get-RegistryValue([string]$Key, [string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue($Name) } finally { $opened.Close() }
}

# Notes when the machine password was set, from a FILETIME.
function Set-OwnTime([long]$FileTime, [string]$Source) {
    $own.last_set = Format-Time ([datetime]::FromFileTimeUtc($FileTime))
    # 1970 by that count.
    $own.last_set_unix = [Math]::Round(($FileTime - 116444736000000000) / 10000000.0, 3)
    $own.source = $Source
}

function Get-ServiceFacts([string]$Name) {
    $facts = [PSCustomObject][ordered]@{ status = $null; start_type = $null }
    $service = @(Get-Service -Name $Name -ErrorAction SilentlyContinue)
    if ($service.Count -eq 1) { $facts.status = [int]$service[0].Status }
    $start = Get-RegistryValue ('SYSTEM\CurrentControlSet\Services\' + $Name) 'Start'
    if ($null -ne $start) { $facts.start_type = [int]$start }
    return $facts
}

# Searches the System log; no match is an empty list.
function Find-Events([hashtable]$Filter, [int]$Most) {
    try {
        return @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ FilterHashtable = $Filter; MaxEvents = $Most } 15000)
    } catch {
        if ((Get-ErrorId $_) -eq 'NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand') { return @() }
        throw
    }
}

# Reads the day of an update: month/day/year, or a FILETIME in hex on some old systems.
function Read-InstallDay([string]$Text) {
    if ($Text -match '^(\d{1,2})/(\d{1,2})/(\d{4})\z') {
        return '{0:d4}-{1:d2}-{2:d2}' -f [int]$Matches[3], [int]$Matches[1], [int]$Matches[2]
    }
    if ($Text -match '^[0-9A-Fa-f]{16}\z') {
        $ticks = [Convert]::ToInt64($Text, 16)
        return [datetime]::FromFileTimeUtc($ticks).ToString('yyyy-MM-dd', $Invariant)
    }
    return $null
}

$computer = [PSCustomObject][ordered]@{
    name = $null; dns_host_name = $null; domain = $null
    part_of_domain = $null; domain_role = $null; model = $null
}
$system = Invoke-Probe 'computer' { Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10 }
if ($null -ne $system) {
    $computer.name = [string]$system.Name
    if ($system.DNSHostName) { $computer.dns_host_name = [string]$system.DNSHostName }
    if ($system.Domain) { $computer.domain = [string]$system.Domain }
    $computer.part_of_domain = [bool]$system.PartOfDomain
    $computer.domain_role = [int]$system.DomainRole
    if ($system.Model) { $computer.model = [string]$system.Model }
}

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

$os = [PSCustomObject][ordered]@{
    build = $null; revision = $null; ui_lcid = $null
    powershell = $null; booted_at = $null; uptime_seconds = $null
}
$null = Invoke-Probe 'os' {
    $key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $os.build = [int](Get-RegistryValue $key 'CurrentBuildNumber')
    $revision = Get-RegistryValue $key 'UBR'
    if ($null -ne $revision) { $os.revision = [int]$revision }
    $os.ui_lcid = [System.Globalization.CultureInfo]::InstalledUICulture.LCID
    $os.powershell = '{0}.{1}' -f $PSVersionTable.PSVersion.Major, $PSVersionTable.PSVersion.Minor
    $booted = (Get-CimInstance -ClassName Win32_OperatingSystem -OperationTimeoutSec 10).LastBootUpTime
    $os.booted_at = Format-Time $booted
    $os.uptime_seconds = [long][Math]::Max(0, ([datetime]::UtcNow - $booted.ToUniversalTime()).TotalSeconds)
}

$missing = [PSCustomObject][ordered]@{ status = $null; start_type = $null }
$services = [PSCustomObject][ordered]@{ netlogon = $missing; w32time = $missing; workstation = $missing }
$null = Invoke-Probe 'services' {
    $services.netlogon = Get-ServiceFacts 'Netlogon'
    $services.w32time = Get-ServiceFacts 'W32Time'
    $services.workstation = Get-ServiceFacts 'LanmanWorkstation'
}

# A PC in no domain has no channel and no controller to ask for.
$joined = $computer.part_of_domain -eq $true -and $null -ne $computer.domain

$nothing = @{
    tool = $null; exit_code = $null; control_error = $null
    connection_status = $null; trust_status = $null; dc = $null
}
$query = $nothing
$verify = $nothing
$tested = @{ result = $null; error_id = $null }
if ($joined) {
    $answer = Invoke-Probe 'query' { Invoke-Netlogon 'sc_query' 6 $computer.domain 15000 }
    if ($null -ne $answer) { $query = $answer }
    $answer = Invoke-Probe 'verify' { Invoke-Netlogon 'sc_verify' 10 $computer.domain 40000 }
    if ($null -ne $answer) { $verify = $answer }
    $answer = Invoke-Probe 'test-channel' { Test-Channel }
    if ($null -ne $answer) { $tested = $answer }
}

$dc = [PSCustomObject][ordered]@{
    requested = $null; located = $null; error = $null; name = $null; address = $null; site = $null
    ports = [PSCustomObject][ordered]@{
        tcp_53 = $null; tcp_88 = $null; tcp_135 = $null; tcp_389 = $null
        tcp_445 = $null; tcp_464 = $null; tcp_636 = $null
    }
}
$clock = [PSCustomObject][ordered]@{ offset_seconds = $null; source = $null }
if ($joined) {
    if ($Params.domain_controller) { $dc.requested = ([string]$Params.domain_controller).ToLowerInvariant() }
    $null = Invoke-Probe 'locate' {
        $dc.site = Get-RegistryValue 'SYSTEM\CurrentControlSet\Services\Netlogon\Parameters' 'DynamicSiteName'
        if ($null -ne $dc.requested) {
            $dc.located = $false
            # If it does not resolve: WSAHOST_NOT_FOUND, until the call says otherwise.
            $dc.error = 11001L
            $dc.name = $dc.requested
            $dc.address = [string](Resolve-Address $dc.requested 8000)
            $dc.located = $true
            $dc.error = 0L
        } else {
            $found = Find-DomainController $computer.domain 30000
            $dc.error = $found.error
            $dc.located = $found.error -eq 0
            $dc.name = $found.name
            $dc.address = $found.address
        }
    }
}
$address = $null
if ($null -ne $dc.name -and $dc.located -eq $true) {
    $address = Invoke-Probe 'locate' {
        # The locator's address may be a NetBIOS name.
        $known = $null
        if ($dc.address -and [System.Net.IPAddress]::TryParse($dc.address, [ref]$known)) { return $known }
        Resolve-Address $dc.name 8000
    }
}
if ($null -ne $address) {
    $null = Invoke-Probe 'ports' {
        $open = Test-Ports $address @(53, 88, 135, 389, 445, 464, 636) ([int]$Params.tcp_timeout_ms)
        foreach ($port in $open.Keys) { $dc.ports.('tcp_' + $port) = $open[$port] }
    }
    $null = Invoke-Probe 'clock' {
        try {
            $clock.offset_seconds = [Math]::Round((Get-SntpOffset $address), 3)
            $clock.source = 'sntp'
        } catch {
            $clock.offset_seconds = [Math]::Round((Get-LdapOffset $dc.name), 0)
            $clock.source = 'ldap'
        }
    }
}

# Provider and id together name an event; ids alone are used by several.
$wanted = @{
    'NETLOGON' = @(3210, 5719, 5721, 5722, 5723, 5783, 5805, 5823)
    'Microsoft-Windows-GroupPolicy' = @(1006, 1030, 1055, 1129)
    'LsaSrv' = @(6167)
    'Microsoft-Windows-Kernel-Power' = @(41)
    'EventLog' = @(6008)
}
$events = [PSCustomObject][ordered]@{
    hours = [int]$Params.event_hours; last_record_id = $null; last_password_change = $null; items = @()
}
$own = [PSCustomObject][ordered]@{ last_set = $null; last_set_unix = $null; source = $null }
$null = Invoke-Probe 'events' {
    $since = [datetime]::Now.AddHours(-[int]$Params.event_hours)
    $ids = @($wanted.Values | ForEach-Object { $_ })
    $seen = @(Find-Events @{ LogName = 'System'; Id = $ids; StartTime = $since } 1000)
    $ours = @($seen | Where-Object { $wanted.ContainsKey($_.ProviderName) -and $wanted[$_.ProviderName] -contains $_.Id })
    $items = New-Object System.Collections.ArrayList
    foreach ($group in @($ours | Group-Object ProviderName, Id)) {
        $newest = @($group.Group | Sort-Object RecordId -Descending)[0]
        [void]$items.Add([PSCustomObject][ordered]@{
            provider = [string]$newest.ProviderName
            id = [int]$newest.Id
            count = [int]$group.Count
            last_time = Format-Time $newest.TimeCreated
            last_record_id = [long]$newest.RecordId
        })
    }
    $events.items = $items.ToArray()
    $changes = @(Find-Events @{ LogName = 'System'; Id = 5823 } 20)
    $changes = @($changes | Where-Object { $_.ProviderName -eq 'NETLOGON' })
    if ($changes.Count -gt 0) {
        $events.last_password_change = Format-Time $changes[0].TimeCreated
        Set-OwnTime ($changes[0].TimeCreated.ToFileTimeUtc()) 'event-5823'
    }
}

# When the PC's own copy of the machine password was set; with pwdLastSet it tells who is behind.
# Only for a channel that is not proven, as the C# compiler has to run for it.
if ($joined -and ($verify.connection_status -ne 0 -or $verify.trust_status -ne 0)) {
    $null = Invoke-Probe 'machine-secret' { Set-OwnTime (Get-MachineSecretTime) 'lsa' }
}

$updates = @(Invoke-Probe 'updates' {
    $all = Get-CimInstance -ClassName Win32_QuickFixEngineering -OperationTimeoutSec 20
    $known = @{}
    $rows = New-Object System.Collections.ArrayList
    foreach ($update in @($all)) {
        $id = [string]$update.HotFixID
        # The class lists some updates twice.
        if (-not $id -or $known.ContainsKey($id)) { continue }
        $known[$id] = $true
        $day = Read-InstallDay ([string]$update.CimInstanceProperties['InstalledOn'].Value)
        [void]$rows.Add([PSCustomObject][ordered]@{ id = $id; installed_on = $day })
    }
    $rows | Sort-Object @{ Expression = { [string]$_.installed_on }; Descending = $true }, 'id' | Select-Object -First 20
})

# Windows 11 24H2 and Server 2025 can keep the machine's secret in Credential Guard: value 2 of
# the policy, or of the setting that Lsa took over from it.
$isolation = [PSCustomObject][ordered]@{ configured = $null; credential_guard_running = $null; enforced = $null }
$null = Invoke-Probe 'isolation' {
    $policy = Get-RegistryValue 'SOFTWARE\Policies\Microsoft\Windows\DeviceGuard' 'MachineIdentityIsolation'
    $lsa = Get-RegistryValue 'SYSTEM\CurrentControlSet\Control\Lsa' 'MachineIdentityIsolation'
    $value = $policy
    if ($null -eq $value -or $lsa -eq 2) { $value = $lsa }
    if ($null -ne $value) { $isolation.configured = [int]$value }
    # Enforced is believed at once: a secret written to the wrong place cannot be taken back.
    $isolation.enforced = $value -eq 2
    try {
        $guard = Get-CimInstance -Namespace 'root\Microsoft\Windows\DeviceGuard' -ClassName Win32_DeviceGuard -OperationTimeoutSec 10
        $isolation.credential_guard_running = @($guard.SecurityServicesRunning) -contains 1
    } catch {
        # Windows before 10 has no such class.
        $isolation.credential_guard_running = $null
    }
}

# Where fleetmend took the PC out of its domain and could not bring it back: which that was.
$left = Invoke-Probe 'left-domain' { Get-LeftDomain }

# Last, so that what the probes themselves caused is not new to verify.
$events.last_record_id = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    taken_at = Format-Time ([datetime]::UtcNow)
    elevated = $elevated
    computer = $computer
    os = $os
    services = $services
    channel = [PSCustomObject][ordered]@{
        query = [PSCustomObject][ordered]@{
            tool = $query.tool
            exit_code = $query.exit_code
            control_error = $query.control_error
            connection_status = $query.connection_status
            dc = $query.dc
        }
        verify = [PSCustomObject][ordered]@{
            tool = $verify.tool
            exit_code = $verify.exit_code
            control_error = $verify.control_error
            connection_status = $verify.connection_status
            trust_status = $verify.trust_status
            dc = $verify.dc
        }
        test_computer_secure_channel = $tested.result
        test_error_id = $tested.error_id
    }
    dc = $dc
    clock = $clock
    events = $events
    updates = $updates
    machine_identity_isolation = $isolation
    machine_secret = $own
    left_domain = $left
    probe_errors = $ProbeErrors.ToArray()
}
