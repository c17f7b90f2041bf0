# Gathers the evidence that the trust is mended: nltest /sc_verify twice, with both of its status
# numbers, and what Netlogon has complained of since. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: verify.takes.json, verify.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1

# Lists Netlogon's complaints with a higher record id; no match is an empty list.
function Get-ComplaintsAfter([long]$RecordId) {
    try {
        $filter = @{ LogName = 'System'; Id = @(3210, 5719) }
        $found = @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ FilterHashtable = $filter; MaxEvents = 200 } 15000)
    } catch {
        if ((Get-ErrorId $_) -eq 'NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand') { return @() }
        throw
    }
    return @($found | Where-Object { $_.ProviderName -eq 'NETLOGON' -and $_.RecordId -gt $RecordId })
}

$runs = New-Object System.Collections.ArrayList
$after = $null
if ($null -ne $Params.after_record_id) {
    $after = [long]$Params.after_record_id
} else {
    $after = Invoke-Probe 'events' { Get-LastRecordId }
}
$wanted = $null
if ($Params.domain_controller) { $wanted = ([string]$Params.domain_controller).ToLowerInvariant() }

# Twice, a moment apart: the first may have had to set the channel up, the second must find it.
foreach ($run in 1, 2) {
    if ($run -eq 2) { Start-Sleep -Seconds 2 }
    $answer = Invoke-Probe 'verify' { Invoke-Netlogon 'sc_verify' 10 ([string]$Params.domain) 40000 }
    if ($null -eq $answer) {
        $answer = @{
            tool = $null; exit_code = $null; control_error = $null
            connection_status = $null; trust_status = $null; dc = $null
        }
    }
    $expected = $null
    if ($null -ne $wanted -and $null -ne $answer.dc) { $expected = Test-SameHost $wanted $answer.dc }
    [void]$runs.Add([PSCustomObject][ordered]@{
        tool = $answer.tool
        exit_code = $answer.exit_code
        control_error = $answer.control_error
        connection_status = $answer.connection_status
        trust_status = $answer.trust_status
        dc = $answer.dc
        dc_is_expected = $expected
    })
}

$tested = @{ result = $null; error_id = $null }
$answer = Invoke-Probe 'test-channel' { Test-Channel }
if ($null -ne $answer) { $tested = $answer }

$counts = [PSCustomObject][ordered]@{ netlogon_3210 = $null; netlogon_5719 = $null }
if ($null -ne $after) {
    $null = Invoke-Probe 'events' {
        $new = @(Get-ComplaintsAfter $after)
        $counts.netlogon_3210 = @($new | Where-Object { $_.Id -eq 3210 }).Count
        $counts.netlogon_5719 = @($new | Where-Object { $_.Id -eq 5719 }).Count
    }
}

$member = [PSCustomObject][ordered]@{ part_of_domain = $null; domain = $null }
$null = Invoke-Probe 'computer' {
    $system = Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10
    $member.part_of_domain = [bool]$system.PartOfDomain
    if ($system.Domain) { $member.domain = ([string]$system.Domain).ToLowerInvariant() }
}

[PSCustomObject][ordered]@{
    runs = $runs.ToArray()
    test_computer_secure_channel = $tested.result
    new_events = $counts
    after_record_id = $after
    member = $member
    probe_errors = $ProbeErrors.ToArray()
}
