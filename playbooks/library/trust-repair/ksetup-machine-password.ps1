# Stores the machine password that the controller has just set in Active Directory as the PC's
# own, by ksetup /setcomputerpassword: what Microsoft documents for it. Windows must be restarted
# afterwards. Run twice with the same password it does the same again.
#
# The password stands on ksetup's command line while ksetup runs: in the list of processes and,
# where that policy is on, in event 4688. Hence only with the operator's consent. It is a password
# of letters and digits, so that nothing in it has a meaning to a command line.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: ksetup-machine-password.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include machine-secret.ps1

$before = Invoke-Probe 'set-time' { Get-MachineSecretTime }
$code = Invoke-Probe 'ksetup' {
    # ERROR_INVALID_PARAMETER. Microsoft documents 1 to 156 characters.
    if ($Params.machine_password -notmatch '^[A-Za-z0-9]{1,156}\z') {
        throw (New-Object System.ComponentModel.Win32Exception 87)
    }
    $start = New-ToolStart 'ksetup.exe'
    $start.Arguments = '/setcomputerpassword ' + $Params.machine_password
    try {
        Invoke-Tool $start 30000
    } finally {
        $start.Arguments = ''
    }
}
$after = Invoke-Probe 'set-time' { Get-MachineSecretTime }
$moved = $null
if ($null -ne $before -and $null -ne $after) { $moved = $after -gt $before }

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    # By ksetup's exit code, and not against what the LSA says of the secret.
    set = $code -eq 0 -and $moved -ne $false
    exit_code = $code
    secret_moved = $moved
    dc = ([string]$Params.domain_controller).ToLowerInvariant()
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
