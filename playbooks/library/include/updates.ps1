# What is installed of Windows' updates, and what keeps servicing from working, by numbers. Needs
# probe.ps1 and restart-safety.ps1. Nothing here changes the PC.

$ServicingKey = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing'
$UpdatePolicyKey = 'SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
$UpdateSettingsKey = 'SOFTWARE\Microsoft\WindowsUpdate\UX\Settings'

# Reads build, revision and kind of this Windows.
function Get-WindowsBuild {
    $key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $answer = [PSCustomObject][ordered]@{ build = $null; ubr = $null }
    $build = [string](Read-MachineValue $key 'CurrentBuildNumber')
    if ($build -match '^\d+\z') { $answer.build = [int]$build }
    $revision = Read-MachineValue $key 'UBR'
    if ($null -ne $revision) { $answer.ubr = [int]$revision }
    return $answer
}

# Takes a package's name apart; null where it is none of an update.
function Read-PackageName([string]$Name) {
    $parts = $Name.Split('~')
    if ($parts.Count -ne 5) { return $null }
    $words = $parts[0].Split('_')
    if ($words.Count -lt 3 -or $words[0] -ne 'Package' -or $words[1] -ne 'for') { return $null }
    $kind = $null
    $kb = $null
    if ($words[2] -eq 'RollupFix') { $kind = 'cumulative' }
    if ($words[2] -eq 'DotNetRollup') { $kind = 'dotnet' }
    if ($words[2] -eq 'ServicingStack') { $kind = 'servicing-stack' }
    if ($words[2] -match '^KB\d+\z') {
        $kind = 'standalone'
        $kb = $words[2].ToUpperInvariant()
    }
    if ($null -eq $kind) { return $null }
    return [PSCustomObject][ordered]@{ kind = $kind; kb = $kb; version = $parts[4] }
}

# Reads what a package's manifest says of it: which update it is, and whether it stays for good.
function Read-PackageManifest([string]$Name) {
    $answer = [PSCustomObject][ordered]@{ kb = $null; permanent = $null }
    $path = Join-Path $env:SystemRoot ('servicing\Packages\' + $Name + '.mum')
    if (-not (Test-Path -LiteralPath $path)) { return $answer }
    $settings = New-Object System.Xml.XmlReaderSettings
    $settings.DtdProcessing = [System.Xml.DtdProcessing]::Prohibit
    $settings.XmlResolver = $null
    $file = [System.IO.File]::OpenRead($path)
    $reader = [System.Xml.XmlReader]::Create($file, $settings)
    try {
        while ($reader.Read()) {
            if ($reader.NodeType -ne [System.Xml.XmlNodeType]::Element) { continue }
            if ($reader.LocalName -ne 'package') { continue }
            $identifier = [string]$reader.GetAttribute('identifier')
            if ($identifier -match '^KB\d+\z') { $answer.kb = $identifier.ToUpperInvariant() }
            $answer.permanent = [string]$reader.GetAttribute('permanence') -eq 'permanent'
            return $answer
        }
    } finally {
        $reader.Close()
        $file.Close()
    }
    return $answer
}

# Lists the packages of updates, each with its CurrentState.
function Get-UpdatePackages {
    $packages = New-Object System.Collections.ArrayList
    $all = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($ServicingKey + '\Packages')
    # ERROR_FILE_NOT_FOUND
    if ($null -eq $all) { throw (New-Object System.ComponentModel.Win32Exception 2) }
    try {
        foreach ($name in $all.GetSubKeyNames()) {
            $known = Read-PackageName $name
            if ($null -eq $known) { continue }
            $key = $all.OpenSubKey($name)
            if ($null -eq $key) { continue }
            try { $state = $key.GetValue('CurrentState') } finally { $key.Close() }
            if ($null -eq $state) { continue }
            $package = [PSCustomObject][ordered]@{
                name = [string]$name; kind = $known.kind; version = $known.version
                kb = $known.kb; state = [int]$state; permanent = $null; dism_state = $null
            }
            [void]$packages.Add($package)
        }
    } finally {
        $all.Close()
    }
    return , $packages.ToArray()
}

# Tells what servicing does at this moment: a session that excludes others, and work of its worker.
function Get-ServicingWork {
    $exclusive = Read-MachineValue ($ServicingKey + '\SessionsPending') 'Exclusive'
    $answer = [PSCustomObject][ordered]@{ exclusive = $null -ne $exclusive -and $exclusive -ne 0; worker_busy = $null }
    $seconds = New-Object System.Collections.ArrayList
    foreach ($run in 1, 2) {
        $workers = @(Get-CimInstance -ClassName Win32_Process -Filter "Name = 'TiWorker.exe'" -Property KernelModeTime, UserModeTime -OperationTimeoutSec 10)
        $ticks = 0.0
        foreach ($worker in $workers) { $ticks += [double]$worker.KernelModeTime + [double]$worker.UserModeTime }
        [void]$seconds.Add($ticks / 10000000)
        if ($run -eq 1) { Start-Sleep -Seconds 1 }
    }
    # One that is only there does not count, it stays for minutes.
    $answer.worker_busy = ($seconds[1] - $seconds[0]) -gt 0.25
    return $answer
}

# Tells how long updates are paused, in seconds from now, and who else decides about them.
function Get-UpdatePause {
    $answer = [PSCustomObject][ordered]@{ seconds_left = $null; wsus = $null; policy = $null }
    $ends = New-Object System.Collections.ArrayList
    foreach ($name in 'PauseUpdatesExpiryTime', 'PauseQualityUpdatesEndTime') {
        $text = [string](Read-MachineValue $UpdateSettingsKey $name)
        $end = [datetime]::MinValue
        $styles = [System.Globalization.DateTimeStyles]'AssumeUniversal, AdjustToUniversal'
        $format = 'yyyy-MM-ddTHH:mm:ssZ'
        $invariant = [System.Globalization.CultureInfo]::InvariantCulture
        if ([datetime]::TryParseExact($text, $format, $invariant, $styles, [ref]$end)) {
            [void]$ends.Add([long]($end - [datetime]::UtcNow).TotalSeconds)
        }
    }
    # Both count: the earlier one ends the pause.
    if ($ends.Count -eq 2) { $answer.seconds_left = [Math]::Min($ends[0], $ends[1]) }
    $answer.wsus = (Read-MachineValue ($UpdatePolicyKey + '\AU') 'UseWUServer') -eq 1
    $answer.policy = $null -ne (Read-MachineValue $UpdatePolicyKey 'PauseQualityUpdatesStartTime') -or
        (Read-MachineValue $UpdatePolicyKey 'SetDisablePauseUXAccess') -eq 1
    return $answer
}

# Returns the newest installations of updates that failed, newest first: code (HRESULT, signed), and
# how long ago in seconds; and how long ago one last went well.
function Get-UpdateHistory([int]$Days) {
    $answer = [PSCustomObject][ordered]@{ failures = @(); last_success_seconds_ago = $null }
    $filter = @{
        LogName = 'System'; ProviderName = 'Microsoft-Windows-WindowsUpdateClient'
        Id = @(19, 20); StartTime = [datetime]::Now.AddDays(-$Days)
    }
    try {
        $events = @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ FilterHashtable = $filter; MaxEvents = 100 } 30000)
    } catch {
        # None is an error of its own.
        if ((Get-ErrorId $_) -eq 'NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand') { return $answer }
        throw
    }
    $failures = New-Object System.Collections.ArrayList
    foreach ($event in $events) {
        $ago = [long]([datetime]::Now - $event.TimeCreated).TotalSeconds
        if ($event.Id -eq 19) {
            if ($null -eq $answer.last_success_seconds_ago) { $answer.last_success_seconds_ago = $ago }
            continue
        }
        # EventData of id 20 begins with errorCode.
        $raw = [long]$event.Properties[0].Value -band 4294967295
        if ($raw -gt 2147483647) { $raw -= 4294967296 }
        [void]$failures.Add([PSCustomObject][ordered]@{ code = $raw; seconds_ago = $ago })
    }
    $answer.failures = @($failures | Select-Object -First 5)
    return $answer
}

# Lays a code out as Windows prints it.
function Format-Code($Code) {
    if ($null -eq $Code) { return $null }
    if ($Code -ge 0) { return [string]$Code }
    return '0x' + ([long]$Code -band 4294967295).ToString('X8')
}

# Returns the Win32 code of an HRESULT that carries one, else the HRESULT with its sign; 3010 and
# the like are themselves.
function Get-PlainCode([long]$Code) {
    if ($Code -gt 2147483647) { $Code -= 4294967296 }
    if (($Code -band 4294901760) -eq 2147942400) { return $Code -band 65535 }
    return $Code
}
