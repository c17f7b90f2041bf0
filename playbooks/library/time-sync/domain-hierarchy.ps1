# Makes W32Time take the time from the domain (NT5DS) in place of named servers or nobody, and asks
# for it now. What was set before is in the answer. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: domain-hierarchy.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include time-service.ps1

$before = Invoke-Probe 'config' { Get-SyncType $TimeKey }
$peers = [string](Invoke-Probe 'config' { Get-RegistryValue ($TimeKey + '\Parameters') 'NtpServer' })
if (-not $peers) { $peers = $null }

$null = Invoke-Probe 'config' {
    $number = [Microsoft.Win32.RegistryValueKind]::DWord
    Set-RegistryValue ($TimeKey + '\TimeProviders\NtpClient') 'Enabled' 1 $number
    Set-RegistryValue ($TimeKey + '\Parameters') 'Type' 'NT5DS' ([Microsoft.Win32.RegistryValueKind]::String)
}
$after = Invoke-Probe 'config' { Get-SyncType $TimeKey }
$running = Invoke-Probe 'start' { Start-TimeService }
$update = Invoke-Probe 'update' { Update-TimeService }
$resync = Invoke-Probe 'resync' { Sync-TimeService }

[PSCustomObject][ordered]@{
    running = $running
    sync_type_before = $before
    peers_before = $peers
    sync_type = $after
    update_exit_code = $update
    resync_exit_code = $resync
    probe_errors = $ProbeErrors.ToArray()
}
