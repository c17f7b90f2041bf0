# Starts W32Time and makes it ask its source now. Settings that a cut run of temporary-peer left are
# put back first. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: resync.takes.json, resync.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include time-service.ps1

$restored = Invoke-Probe 'restore' { Restore-TimeSettings }

$enabled = $false
if ($Params.enable_service -eq $true) {
    $null = Invoke-Probe 'enable' {
        $start = Get-RegistryValue $TimeKey 'Start'
        # Disabled
        if ($start -eq 4) {
            Invoke-BoundedCmdlet 'Set-Service' @{ Name = 'W32Time'; StartupType = 'Automatic' } 20000
        }
    }
    $start = Invoke-Probe 'enable' { Get-RegistryValue $TimeKey 'Start' }
    $enabled = $null -ne $start -and $start -ne 4
}
$running = Invoke-Probe 'start' { Start-TimeService }
$update = Invoke-Probe 'update' { Update-TimeService }
$resync = Invoke-Probe 'resync' { Sync-TimeService }

[PSCustomObject][ordered]@{
    running = $running
    enabled = $enabled
    settings_restored = $restored
    update_exit_code = $update
    resync_exit_code = $resync
    probe_errors = $ProbeErrors.ToArray()
}
