# Stores what an offline join blob holds, for the next start of Windows (djoin /requestodj). The
# blob comes as data on standard input, goes from memory to Windows, and never into a file. Run
# twice with the same blob it does the same again.
#
# No domain credential comes here: a blob is as good as this PC's machine password, and no more.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: offline-join.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include membership.ps1

$text = $null
$code = $null
try {
    $text = Invoke-Probe 'join' {
        Import-MembershipApi
        # ERROR_INVALID_PARAMETER
        if ($Params.join_secret.Length -lt 1 -or $Params.join_secret.Length -gt 262144) {
            throw (New-Object System.ComponentModel.Win32Exception 87)
        }
        New-Object Fleetmend.JoinText 262144
    }
    if ($null -ne $text) {
        for ($i = 0; $i -lt $Params.join_secret.Length; $i++) { $text.Append($Params.join_secret[$i]) }
        $code = Invoke-Probe 'join' { [long][Fleetmend.Membership]::Request($text, $env:SystemRoot) }
    }
} finally {
    if ($null -ne $text) { $text.Dispose() }
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    # NERR_JoinPerformedMustRestart
    joined = @(0, 2713) -contains $code
    code = $code
    dc = ([string]$Params.domain_controller).ToLowerInvariant()
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
