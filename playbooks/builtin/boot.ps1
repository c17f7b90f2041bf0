# Tells which life of Windows this is, and whether it is ready for whoever logs on. Changes nothing.
# Right after a start half of Windows does not answer yet: what cannot be told is null.

param($Params)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# Runs a question; null where it fails.
function Get-OrNull([scriptblock]$Body) {
    try { return & $Body } catch { return $null }
}

# Reads one registry value; null where key or value is missing.
function Read-Value([string]$Key, [string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue($Name) } finally { $opened.Close() }
}

# Tells whether there is such a registry key.
function Test-Key([string]$Key) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $false }
    $opened.Close()
    return $true
}

# Returns the seconds of the clock since 1970.
function Get-UnixSeconds([datetime]$Time) {
    $start = New-Object System.DateTime 1970, 1, 1, 0, 0, 0, ([System.DateTimeKind]::Utc)
    return [Math]::Round(($Time.ToUniversalTime() - $start).TotalSeconds, 3)
}

# Returns the processor time that the worker of Windows Update's servicing has had, in seconds; 0
# where there is none.
function Get-ServicingSeconds {
    $workers = @(Get-CimInstance -ClassName Win32_Process -Filter "Name = 'TiWorker.exe'" -Property KernelModeTime, UserModeTime -OperationTimeoutSec 5)
    $ticks = 0.0
    foreach ($worker in $workers) { $ticks += [double]$worker.KernelModeTime + [double]$worker.UserModeTime }
    return $ticks / 10000000
}

# Tells whether Windows is ready for a logon, with or without a display: the screen is a process of
# session 1 on any PC. It makes the key once it has come up, and the restart took that away. Where
# somebody is logged on already, or the screen has stood for a while, the key is not waited for.
function Test-LogonReady {
    if (Test-Key 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\AutoLogonChecked') { return $true }
    foreach ($process in @(Get-Process)) {
        if ($process.SessionId -eq 0) { continue }
        if (@('userinit', 'explorer') -contains $process.ProcessName) { return $true }
        if ($process.ProcessName -ne 'LogonUI') { continue }
        $age = ([datetime]::UtcNow - $process.StartTime.ToUniversalTime()).TotalSeconds
        if ($age -gt 60) { return $true }
    }
    return $false
}

# Tells whether updates are being put in place: the key of that, or a worker that takes more than a
# quarter of a processor. One that is only there does not count, it stays for minutes.
function Test-Servicing {
    if (Test-Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress') { return $true }
    $before = Get-ServicingSeconds
    if ($before -eq 0) { return $false }
    Start-Sleep -Seconds 1
    $after = Get-ServicingSeconds
    return ($after - $before) -gt 0.25
}

$now = [datetime]::UtcNow
# Milliseconds since the start by the counter that no clock is set to, modulo 2^32.
$ticks = [double]([long][Environment]::TickCount -band 4294967295)

$system = Get-OrNull { Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime -OperationTimeoutSec 10 }
$booted = $null
if ($null -ne $system -and $null -ne $system.LastBootUpTime) { $booted = Get-UnixSeconds $system.LastBootUpTime }
# The counter begins again every 49.7 days; how often it did, the clock tells well enough.
$rounds = 0
if ($null -ne $booted) {
    $byClock = ((Get-UnixSeconds $now) - $booted) * 1000
    $rounds = [Math]::Max(0.0, [Math]::Round(($byClock - $ticks) / 4294967296))
}
$uptime = [Math]::Round(($ticks + $rounds * 4294967296) / 1000, 3)
if ($null -eq $booted) { $booted = [Math]::Round((Get-UnixSeconds $now) - $uptime, 3) }

# Counts up at every start. Kept by the prefetcher, which some images switch off.
$bootId = Get-OrNull { Read-Value 'SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters' 'BootId' }
# A DWORD is signed in .NET.
if ($null -ne $bootId) { $bootId = [long]$bootId -band 4294967295 }

$ready = Get-OrNull { Test-LogonReady }
$servicing = Get-OrNull { Test-Servicing }
$netlogon = Get-OrNull { [int](Get-Service -Name Netlogon).Status -eq 4 }
$computer = Get-OrNull { Get-CimInstance -ClassName Win32_ComputerSystem -Property Domain, PartOfDomain -OperationTimeoutSec 10 }
$domain = $null
$member = $null
if ($null -ne $computer) {
    if ($computer.Domain) { $domain = [string]$computer.Domain }
    $member = $computer.PartOfDomain
}
$name = Get-OrNull { [Environment]::MachineName }

[PSCustomObject][ordered]@{
    last_boot_unix = $booted
    boot_id = $bootId
    uptime_seconds = $uptime
    logon_ready = $ready
    servicing_busy = $servicing
    netlogon_running = $netlogon
    computer_name = $name
    domain = $domain
    part_of_domain = $member
}
