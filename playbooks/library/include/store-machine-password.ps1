# The whole of storing the machine password that the controller has set: what $Params holds, and the
# answer, stand in store-machine-password.takes.json and .gives.json. Needs probe.ps1, tool.ps1,
# netlogon.ps1, restart-netlogon.ps1 and machine-secret.ps1.

# Throws away the tickets that were got with the old password. SYSTEM is the logon session 0x3e7,
# NETWORK SERVICE, which acts as the PC too, is 0x3e4.
function Clear-MachineTickets([string]$Session) {
    $start = New-ToolStart 'klist.exe'
    $start.Arguments = '-li ' + $Session + ' purge'
    return Invoke-Tool $start 10000
}

$domain = [string]$Params.domain
$server = [string]$Params.domain_controller

# Character by character, by methods only: module logging (event 4103) would write down the
# argument of a cmdlet, and script block logging (4104) sees this text alone.
$store = Invoke-Probe 'store' {
    Import-MachineSecretApi
    # ERROR_INVALID_PARAMETER
    if ($Params.machine_password.Length -lt 1 -or $Params.machine_password.Length -gt 256) {
        throw (New-Object System.ComponentModel.Win32Exception 87)
    }
    $text = New-Object Fleetmend.SecretText 256
    try {
        for ($i = 0; $i -lt $Params.machine_password.Length; $i++) { $text.Append($Params.machine_password[$i]) }
        [Fleetmend.MachineSecret]::Store($text)
    } finally {
        $text.Dispose()
    }
}

$lsa = [PSCustomObject][ordered]@{
    open_policy = $null; open_secret = $null; create_secret = $null; query_secret = $null; set_secret = $null
}
$stored = $false
$failed = $null
if ($null -ne $store) {
    $lsa.open_policy = $store.OpenPolicy
    $lsa.open_secret = $store.OpenSecret
    $lsa.create_secret = $store.CreateSecret
    $lsa.query_secret = $store.QuerySecret
    $lsa.set_secret = $store.SetSecret
    $stored = $store.Stored
    $failed = [long]$store.Error
}

$running = $null
$purged = $null
$pinned = $null
$answer = $null
if ($stored) {
    $purged = Invoke-Probe 'tickets' { Clear-MachineTickets '0x3e7' }
    $second = Invoke-Probe 'tickets' { Clear-MachineTickets '0x3e4' }
    if ($purged -eq 0) { $purged = $second }
    $running = Restart-Netlogon
    # The new password may not have reached the other controllers: bind the channel to this one.
    $reset = Invoke-Probe 'pin' { Invoke-Netlogon 'sc_reset' 5 ($domain + '\' + $server) 40000 }
    if ($null -ne $reset) {
        $pinned = $reset.connection_status
        if ($null -ne $reset.control_error) { $pinned = $reset.control_error }
    }
    $answer = Invoke-Probe 'verify' { Invoke-Netlogon 'sc_verify' 10 $domain 40000 }
}
if ($null -eq $answer) { $answer = @{ control_error = $null; connection_status = $null; trust_status = $null; dc = $null } }

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    stored = $stored
    error = $failed
    lsa = $lsa
    tickets_purged = $purged
    netlogon = [PSCustomObject][ordered]@{
        running = $running
        pin_status = $pinned
        control_error = $answer.control_error
        connection_status = $answer.connection_status
        trust_status = $answer.trust_status
        dc = $answer.dc
    }
    dc = $server.ToLowerInvariant()
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
