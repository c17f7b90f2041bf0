# Tells what stands between a logon and the desktop: what Winlogon starts, what is put in its place,
# the services and packages that the shell needs, whether it runs and dies, and what updates came.
# Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors, never a failed step; each is bounded
# in time. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include winlogon.ps1
#include shell-packages.ps1

$Invariant = [System.Globalization.CultureInfo]::InvariantCulture
$Epoch = New-Object DateTime 1970, 1, 1, 0, 0, 0, ([DateTimeKind]::Utc)

function Get-UnixSeconds([datetime]$Time) {
    return [long][Math]::Floor(($Time.ToUniversalTime() - $Epoch).TotalSeconds)
}

# Tells of the program that a command line begins with; null for an empty one.
function Get-CommandFile([string]$Command) {
    $text = [Environment]::ExpandEnvironmentVariables($Command).Trim().Trim([char]44).Trim()
    if (-not $text) { return $null }
    $name = ($text -split ' ')[0]
    # Blanks in a path that is not quoted: Windows tries them one by one as well.
    if ($text[0] -eq [char]34) {
        $name = ($text -split '"')[1]
    } elseif (-not [System.IO.File]::Exists($name)) {
        $words = $text -split ' '
        for ($count = 2; $count -le $words.Count; $count++) {
            $longer = $words[0..($count - 1)] -join ' '
            if ([System.IO.File]::Exists($longer)) { $name = $longer; break }
        }
    }
    $path = $null
    foreach ($folder in '', $env:SystemRoot, (Join-Path $env:SystemRoot 'System32')) {
        $candidate = $name
        if ($folder) {
            $candidate = [System.IO.Path]::Combine($folder, $name)
        } elseif (-not [System.IO.Path]::IsPathRooted($name)) {
            continue
        }
        foreach ($ending in '', '.exe') {
            if ($null -eq $path -and [System.IO.File]::Exists($candidate + $ending)) { $path = $candidate + $ending }
        }
    }
    $signed = $false
    if ($null -ne $path) {
        $signature = Invoke-BoundedCmdlet 'Get-AuthenticodeSignature' @{ FilePath = $path } 5000
        $signed = [int]@($signature)[0].Status -eq 0
    }
    return [PSCustomObject][ordered]@{ exists = $null -ne $path; signed = $signed }
}

# Searches a log; no match is an empty list.
function Find-Events([hashtable]$Filter, [int]$Most) {
    try {
        return @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ FilterHashtable = $Filter; MaxEvents = $Most } 15000)
    } catch {
        if ((Get-ErrorId $_) -eq 'NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand') { return @() }
        throw
    }
}

# Reads the day of an update: month/day/year, or a FILETIME in hex on some old systems.
function Read-InstallTime([string]$Text) {
    if ($Text -match '^(\d{1,2})/(\d{1,2})/(\d{4})\z') {
        return New-Object DateTime ([int]$Matches[3]), ([int]$Matches[1]), ([int]$Matches[2]), 0, 0, 0, ([DateTimeKind]::Utc)
    }
    if ($Text -match '^[0-9A-Fa-f]{16}\z') {
        return [datetime]::FromFileTimeUtc([Convert]::ToInt64($Text, 16))
    }
    return $null
}

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

$os = [PSCustomObject][ordered]@{ build = $null; ubr = $null; server_core = $null; lcid = $null }
$null = Invoke-Probe 'os' {
    $current = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $os.build = [int](Get-MachineValue $current 'CurrentBuildNumber')
    $ubr = Get-MachineValue $current 'UBR'
    if ($null -ne $ubr) { $os.ubr = [int]$ubr }
    # Never translated: Client, Server, Server Core, Nano Server.
    $parts = ([string](Get-MachineValue $current 'InstallationType')) -split ' '
    $os.server_core = $parts.Count -gt 1
    $os.lcid = [System.Globalization.CultureInfo]::InstalledUICulture.LCID
}

$winlogon = Invoke-Probe 'winlogon' {
    $shell = Get-MachineValue $WinlogonKey 'Shell'
    $userinit = Get-MachineValue $WinlogonKey 'Userinit'
    $policy = Get-MachineValue 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' 'Shell'
    $explorer = [System.IO.Path]::Combine($env:SystemRoot, $DefaultShell)
    $isShell = $DefaultShell, $explorer -contains ([Environment]::ExpandEnvironmentVariables([string]$shell)).Trim().Trim([char]34)
    $entries = @(([Environment]::ExpandEnvironmentVariables([string]$userinit)) -split ',' | ForEach-Object { $_.Trim().Trim([char]34) } | Where-Object { $_ })
    $own = @($entries | Where-Object { 'userinit.exe', 'userinit', $DefaultUserinit.Trim([char]44) -contains $_ })
    $shellFile = $null
    if (-not $isShell) { $shellFile = Get-CommandFile ([string]$shell) }
    $userinitFile = $null
    if ($own.Count -eq 0) { $userinitFile = Get-CommandFile ([string]$entries[0]) }
    if ($null -ne $shell) { $shell = [string]$shell }
    if ($null -ne $userinit) { $userinit = [string]$userinit }
    if ($null -ne $policy) { $policy = [string]$policy }
    [PSCustomObject][ordered]@{
        shell = $shell
        shell_is_default = $isShell
        shell_file = $shellFile
        userinit = $userinit
        userinit_is_there = $own.Count -gt 0
        userinit_others = $entries.Count - $own.Count
        userinit_file = $userinitFile
        policy_shell = $policy
    }
}

# Shell Launcher puts one of its own programs in place of the shell; Assigned Access has a key of its own.
$kiosk = Invoke-Probe 'kiosk' {
    $name = [System.IO.Path]::GetFileName([string](Get-MachineValue $WinlogonKey 'Shell').Trim())
    $launcher = 'eshell.exe', 'customshellhost.exe' -contains $name
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Microsoft\Windows\AssignedAccessConfiguration\Configs')
    $configured = $false
    if ($null -ne $key) {
        try { $configured = $key.SubKeyCount -gt 0 } finally { $key.Close() }
    }
    $launcher -or $configured
}

$debuggers = Invoke-Probe 'debuggers' {
    $list = New-Object System.Collections.ArrayList
    foreach ($program in 'explorer.exe', 'sihost.exe', 'userinit.exe') {
        $debugger = Get-MachineValue ($DebuggerKey + '\' + $program) 'Debugger'
        if ($null -eq $debugger) { continue }
        $file = Get-CommandFile ([string]$debugger)
        [void]$list.Add([PSCustomObject][ordered]@{ program = $program; debugger = [string]$debugger; file = $file })
    }
    # As one object, so that a list of one stays a list.
    @{ list = $list.ToArray() }
}
$debuggerList = $null
if ($null -ne $debuggers) { $debuggerList = $debuggers.list }

$files = Invoke-Probe 'files' {
    $list = New-Object System.Collections.ArrayList
    $names = @('explorer.exe', 'System32\userinit.exe')
    # This one came with Windows 10.
    if ($os.build -ge 10240) { $names += 'System32\sihost.exe' }
    foreach ($name in $names) {
        $path = [System.IO.Path]::Combine($env:SystemRoot, $name)
        $size = $null
        if ([System.IO.File]::Exists($path)) { $size = (New-Object System.IO.FileInfo $path).Length }
        [void]$list.Add([PSCustomObject][ordered]@{ name = $name; size = $size })
    }
    @{ list = $list.ToArray() }
}
$fileList = $null
if ($null -ne $files) { $fileList = $files.list }

$services = Invoke-Probe 'services' {
    $list = New-Object System.Collections.ArrayList
    foreach ($name in 'AppReadiness', 'AppXSvc', 'ProfSvc', 'StateRepository', 'UserManager') {
        $start = Get-MachineValue ('SYSTEM\CurrentControlSet\Services\' + $name) 'Start'
        # Older Windows do not have all of them.
        if ($null -eq $start) { continue }
        $status = $null
        $service = @(Get-Service -Name $name -ErrorAction SilentlyContinue)
        if ($service.Count -eq 1) { $status = [int]$service[0].Status }
        [void]$list.Add([PSCustomObject][ordered]@{ name = $name; start = [int]$start; status = $status })
    }
    @{ list = $list.ToArray() }
}
$serviceList = $null
if ($null -ne $services) { $serviceList = $services.list }

# Users at a screen or over Remote Desktop, by processes that each of their sessions has.
$users = @{}
$sessions = Invoke-Probe 'sessions' {
    $found = @{}
    foreach ($process in @(Get-CimInstance -ClassName Win32_Process -OperationTimeoutSec 20)) {
        if ($process.SessionId -eq 0) { continue }
        if ('explorer.exe', 'sihost.exe', 'taskhostw.exe', 'userinit.exe', 'ctfmon.exe' -notcontains $process.Name) { continue }
        $id = [int]$process.SessionId
        $owner = Invoke-CimMethod -InputObject $process -MethodName 'GetOwnerSid' -OperationTimeoutSec 2
        $sid = [string]$owner.Sid
        # Users of a domain or the PC, and of Entra ID: not the accounts of Windows itself.
        if ($sid -notlike 'S-1-5-21-*' -and $sid -notlike 'S-1-12-1-*') { continue }
        $users[$sid] = $true
        if (-not $found.ContainsKey($id)) { $found[$id] = $false }
        if ($process.Name -eq 'explorer.exe') { $found[$id] = $true }
    }
    $list = New-Object System.Collections.ArrayList
    foreach ($id in @($found.Keys | Sort-Object)) {
        [void]$list.Add([PSCustomObject][ordered]@{ id = $id; explorer = $found[$id] })
    }
    @{ list = $list.ToArray() }
}
$sessionList = $null
if ($null -ne $sessions) { $sessionList = $sessions.list }

$packages = Invoke-Probe 'packages' {
    $list = New-Object System.Collections.ArrayList
    foreach ($family in $ShellPackages) {
        if (-not [System.IO.File]::Exists((Get-ShellManifest $family))) { continue }
        $name = ($family -split '_')[0]
        $found = @(Invoke-BoundedCmdlet 'Get-AppxPackage' @{ AllUsers = $true; Name = $name } 20000)
        $status = $null
        $registered = @{}
        foreach ($package in $found) {
            $status = [int]$package.Status
            foreach ($user in @($package.PackageUserInformation)) {
                if ([string]$user.InstallState -eq 'Installed') { $registered[[string]$user.UserSecurityId.Sid] = $true }
            }
        }
        $missing = @($users.Keys | Where-Object { -not $registered.ContainsKey($_) })
        [void]$list.Add([PSCustomObject][ordered]@{ family = $family; status = $status; missing_for = $missing.Count })
    }
    @{ list = $list.ToArray() }
}
$packageList = $null
if ($null -ne $packages -and $null -ne $sessionList) { $packageList = $packages.list }

$crashes = [PSCustomObject][ordered]@{ count = $null; first_unix = $null; last_unix = $null }
$null = Invoke-Probe 'crashes' {
    $since = (Get-Date).AddDays(-14)
    $filter = @{ LogName = 'Application'; ProviderName = 'Application Error'; Id = 1000; StartTime = $since }
    $shell = 'explorer.exe', 'sihost.exe', 'ShellHost.exe', 'ShellExperienceHost.exe', 'StartMenuExperienceHost.exe'
    $ours = @(Find-Events $filter 500 | Where-Object { $shell -contains [string]$_.Properties[0].Value })
    $crashes.count = $ours.Count
    if ($ours.Count -gt 0) {
        # The newest comes first.
        $crashes.last_unix = Get-UnixSeconds $ours[0].TimeCreated
        $crashes.first_unix = Get-UnixSeconds $ours[$ours.Count - 1].TimeCreated
    }
}

$deployment = Invoke-Probe 'deployment' {
    $since = (Get-Date).AddDays(-14)
    $filter = @{ LogName = 'Microsoft-Windows-AppXDeploymentServer/Operational'; Level = 2; StartTime = $since }
    @(Find-Events $filter 500).Count
}

$updates = @(Invoke-Probe 'updates' {
    $known = @{}
    $rows = New-Object System.Collections.ArrayList
    foreach ($update in @(Get-CimInstance -ClassName Win32_QuickFixEngineering -OperationTimeoutSec 20)) {
        $id = [string]$update.HotFixID
        # The class lists some updates twice, and some without a number.
        if ($id -notmatch '^KB[0-9]+\z' -or $known.ContainsKey($id)) { continue }
        $known[$id] = $true
        $time = Read-InstallTime ([string]$update.CimInstanceProperties['InstalledOn'].Value)
        $day = $null
        $unix = $null
        if ($null -ne $time) {
            $day = $time.ToString('yyyy-MM-dd', $Invariant)
            $unix = Get-UnixSeconds $time
        }
        [void]$rows.Add([PSCustomObject][ordered]@{ id = $id; installed_on = $day; installed_unix = $unix })
    }
    $rows | Sort-Object @{ Expression = { [string]$_.installed_on }; Descending = $true }, 'id' | Select-Object -First 20
})

$displays = Invoke-Probe 'displays' {
    $list = New-Object System.Collections.ArrayList
    foreach ($adapter in @(Get-CimInstance -ClassName Win32_VideoController -OperationTimeoutSec 10)) {
        if ($null -ne $adapter.ConfigManagerErrorCode) { [void]$list.Add([int]$adapter.ConfigManagerErrorCode) }
    }
    @{ list = $list.ToArray() }
}
$displayList = $null
if ($null -ne $displays) { $displayList = $displays.list }

[PSCustomObject][ordered]@{
    elevated = $elevated
    os = $os
    winlogon = $winlogon
    kiosk = $kiosk
    debuggers = $debuggerList
    files = $fileList
    services = $serviceList
    sessions = $sessionList
    packages = $packageList
    crashes = $crashes
    deployment_errors = $deployment
    updates = $updates
    display_error_codes = $displayList
    probe_errors = $ProbeErrors.ToArray()
}
