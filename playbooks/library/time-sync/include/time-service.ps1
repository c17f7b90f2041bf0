# Reads and sets the Windows time service. Needs probe.ps1 and tool.ps1.

$TimeKey = 'SYSTEM\CurrentControlSet\Services\W32Time'
# What Group Policy sets stands here and counts before the service's own values.
$TimePolicy = 'SOFTWARE\Policies\Microsoft\W32Time'
# The settings from before temporary-peer changed them, while it is at work.
$SavedKey = $TimeKey + '\FleetmendSaved'

# W32Time's words for where it takes the time from.
$SyncTypes = @{ 'NoSync' = 0; 'NTP' = 1; 'NT5DS' = 2; 'AllSync' = 3 }

# Reads one registry value; null where key or value is missing.
function Get-RegistryValue([string]$Key, [string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue($Name) } finally { $opened.Close() }
}

# Writes one registry value in an existing or a new key; null takes the value away.
function Set-RegistryValue([string]$Key, [string]$Name, $Value, [Microsoft.Win32.RegistryValueKind]$Kind) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($Key)
    try {
        if ($null -eq $Value) { $opened.DeleteValue($Name, $false) } else { $opened.SetValue($Name, $Value, $Kind) }
    } finally {
        $opened.Close()
    }
}

# Reads a number that is unsigned in the registry and signed in .NET.
function Get-RegistryNumber([string]$Key, [string]$Name) {
    $value = Get-RegistryValue $Key $Name
    if ($null -eq $value) { return $null }
    return ([long]$value -band 4294967295)
}

# Reads W32Time's word for its source as a number; null where it is missing or unknown.
function Get-SyncType([string]$Key) {
    $word = [string](Get-RegistryValue ($Key + '\Parameters') 'Type')
    if ($SyncTypes.ContainsKey($word)) { return [int]$SyncTypes[$word] }
    return $null
}

function Get-ServiceFacts([string]$Name) {
    $facts = [PSCustomObject][ordered]@{ status = $null; start_type = $null }
    $service = @(Get-Service -Name $Name -ErrorAction SilentlyContinue)
    if ($service.Count -eq 1) { $facts.status = [int]$service[0].Status }
    $start = Get-RegistryValue ('SYSTEM\CurrentControlSet\Services\' + $Name) 'Start'
    if ($null -ne $start) { $facts.start_type = [int]$start }
    return $facts
}

# Tells whether settings wait to be put back.
function Test-Saved {
    $saved = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($SavedKey)
    if ($null -eq $saved) { return $false }
    $saved.Close()
    return $true
}

# Keeps the present settings, unless some are kept already: those are the true ones.
function Save-TimeSettings {
    # The word is written last, so that what was cut before is no complete set.
    if ([string](Get-RegistryValue $SavedKey 'Type')) { return }
    $text = [Microsoft.Win32.RegistryValueKind]::String
    $type = [string](Get-RegistryValue ($TimeKey + '\Parameters') 'Type')
    # What a member of a domain does without one.
    if (-not $type) { $type = 'NT5DS' }
    $peers = Get-RegistryValue ($TimeKey + '\Parameters') 'NtpServer'
    Set-RegistryValue $SavedKey 'NtpServer' $peers $text
    Set-RegistryValue $SavedKey 'Type' $type $text
}

# Puts the kept settings back. Yields whether none wait any more.
function Restore-TimeSettings {
    if (Test-Saved) {
        $text = [Microsoft.Win32.RegistryValueKind]::String
        $type = [string](Get-RegistryValue $SavedKey 'Type')
        if ($type) {
            Set-RegistryValue ($TimeKey + '\Parameters') 'NtpServer' (Get-RegistryValue $SavedKey 'NtpServer') $text
            Set-RegistryValue ($TimeKey + '\Parameters') 'Type' $type $text
        }
        [Microsoft.Win32.Registry]::LocalMachine.DeleteSubKey($SavedKey, $false)
    }
    return (-not (Test-Saved))
}

# Starts W32Time, if it may be started. Yields whether it runs.
function Start-TimeService {
    Add-Type -AssemblyName System.ServiceProcess
    $service = Get-Service -Name W32Time
    if ($service.Status -ne [System.ServiceProcess.ServiceControllerStatus]::Running) {
        $service.Start()
        $service.WaitForStatus([System.ServiceProcess.ServiceControllerStatus]::Running, [timespan]::FromSeconds(30))
    }
    $service.Refresh()
    return $service.Status -eq [System.ServiceProcess.ServiceControllerStatus]::Running
}

# Makes W32Time read its settings again. Yields w32tm's exit code.
function Update-TimeService {
    $start = New-ToolStart 'w32tm.exe'
    $start.Arguments = '/config /update'
    return Invoke-Tool $start 20000
}

# Makes W32Time ask its source now. Yields w32tm's exit code, 0 if the clock was set: by /force, and
# by /rediscover where w32tm is too old to know that or it failed.
function Sync-TimeService {
    $start = New-ToolStart 'w32tm.exe'
    $start.Arguments = '/resync /force'
    $code = Invoke-Tool $start 40000
    if ($code -ne 0) {
        $start = New-ToolStart 'w32tm.exe'
        $start.Arguments = '/resync /rediscover'
        $code = Invoke-Tool $start 40000
    }
    return $code
}
