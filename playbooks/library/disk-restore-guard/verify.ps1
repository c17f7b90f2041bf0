# Gathers the evidence: nltest /sc_verify twice, with both of its status numbers, and what is to be
# there still after a restart. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: verify.takes.json, verify.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include machine-secret.ps1
#include rotation.ps1
#include uwf.ps1

$runs = New-Object System.Collections.ArrayList
$wanted = $null
if ($Params.domain_controller) { $wanted = ([string]$Params.domain_controller).ToLowerInvariant() }

# Twice, a moment apart: the first may have had to set the channel up, the second must find it.
foreach ($run in 1, 2) {
    if ($run -eq 2) { Start-Sleep -Seconds 2 }
    $answer = Invoke-Probe 'verify' { Invoke-Netlogon 'sc_verify' 10 ([string]$Params.domain) 40000 }
    if ($null -eq $answer) { $answer = @{ control_error = $null; connection_status = $null; trust_status = $null; dc = $null } }
    $expected = $null
    if ($null -ne $wanted -and $null -ne $answer.dc) { $expected = Test-SameHost $wanted $answer.dc }
    [void]$runs.Add([PSCustomObject][ordered]@{
        control_error = $answer.control_error
        connection_status = $answer.connection_status
        trust_status = $answer.trust_status
        dc = $answer.dc
        dc_is_expected = $expected
    })
}

$uwf = Invoke-Probe 'uwf' { Get-Uwf }
$rotation = [PSCustomObject][ordered]@{ maximum_age_days = $null; changes_disabled = $null; changes_refused = $null }
$read = Invoke-Probe 'rotation' { Get-Rotation }
if ($null -ne $read) { $rotation = $read }
$own = [PSCustomObject][ordered]@{ last_set_unix = $null }
$null = Invoke-Probe 'machine-secret' {
    $set = Get-MachineSecretTime
    # 1970 by that count.
    $own.last_set_unix = [Math]::Round(($set - 116444736000000000) / 10000000.0, 3)
}

[PSCustomObject][ordered]@{
    runs = $runs.ToArray()
    uwf = $uwf
    rotation = $rotation
    secret = $own
    probe_errors = $ProbeErrors.ToArray()
}
