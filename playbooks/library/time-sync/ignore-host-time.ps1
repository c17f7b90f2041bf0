# Makes a virtual machine of Hyper-V take no time from its host any more (VMICTimeProvider), and asks
# the domain for it now. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: ignore-host-time.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include time-service.ps1

$provider = $TimeKey + '\TimeProviders\VMICTimeProvider'
$null = Invoke-Probe 'config' {
    Set-RegistryValue $provider 'Enabled' 0 ([Microsoft.Win32.RegistryValueKind]::DWord)
}
$off = Invoke-Probe 'config' { (Get-RegistryNumber $provider 'Enabled') -eq 0 }
$running = Invoke-Probe 'start' { Start-TimeService }
$update = Invoke-Probe 'update' { Update-TimeService }
$resync = Invoke-Probe 'resync' { Sync-TimeService }

[PSCustomObject][ordered]@{
    running = $running
    host_provider_off = $off
    update_exit_code = $update
    resync_exit_code = $resync
    probe_errors = $ProbeErrors.ToArray()
}
