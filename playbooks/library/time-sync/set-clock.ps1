# Sets the clock by one step to a domain controller's, which it asks again right before, by two
# means. If they do not agree nothing is set. Within the tolerance nothing is set either, so run
# twice it does nothing more.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: set-clock.takes.json, set-clock.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include clock.ps1
#include measure-clock.ps1
#include time-service.ps1

$measured = Measure-Clock ([string]$Params.domain_controller)
$trusted = $measured.agree -eq $true
if ($null -eq $measured.agree -and $Params.accept_one_source -eq $true) { $trusted = $null -ne $measured.offset }

$step = 0.0
if ($trusted -and [Math]::Abs($measured.offset) -gt [double]$Params.tolerance_seconds) {
    $change = Invoke-Probe 'set' {
        $adjust = [timespan]::FromMilliseconds(-1000 * $measured.offset)
        $null = Invoke-BoundedCmdlet 'Set-Date' @{ Adjust = $adjust } 20000
        $adjust.TotalSeconds
    }
    if ($null -ne $change) { $step = [Math]::Round($change, 3) }
}

# W32Time is told, so that it does not go by what it remembers.
$running = $null
if ($Params.enable_service -eq $true) {
    $null = Invoke-Probe 'enable' {
        # Disabled
        if ((Get-RegistryValue $TimeKey 'Start') -eq 4) {
            Invoke-BoundedCmdlet 'Set-Service' @{ Name = 'W32Time'; StartupType = 'Automatic' } 20000
        }
    }
}
$restored = Invoke-Probe 'restore' { Restore-TimeSettings }
$running = Invoke-Probe 'start' { Start-TimeService }
$update = Invoke-Probe 'update' { Update-TimeService }

[PSCustomObject][ordered]@{
    stepped_seconds = $step
    source = $measured.source
    sntp_seconds_before = $measured.sntp
    ldap_seconds_before = $measured.ldap
    running = $running
    settings_restored = $restored
    update_exit_code = $update
    probe_errors = $ProbeErrors.ToArray()
}
