# Gives a local account the password of the operator, or makes the account; then puts it in order
# as make-usable does, and proves it by one logon as over the network. Run twice with the same
# password it does the same again.
#
# The password comes as data on standard input and is touched by methods only, character by
# character: module logging (event 4103) would write down the argument of a cmdlet, and script
# block logging (4104) sees this text alone.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: set-account.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include local-account.ps1

$name = [string]$Params.account
$state = [PSCustomObject][ordered]@{ created = $null; code = $null }
$done = $null
$logon = $null

$text = $null
try {
    $text = Invoke-Probe 'account' {
        Import-LocalAccountApi
        # ERROR_INVALID_PARAMETER. An empty one lets nobody in over the network, and Windows takes
        # no longer one.
        if ($Params.local_admin_credential.password.Length -lt 1 -or $Params.local_admin_credential.password.Length -gt 127) {
            throw (New-Object System.ComponentModel.Win32Exception 87)
        }
        New-Object Fleetmend.AccountText 127
    }
    if ($null -ne $text) {
        for ($i = 0; $i -lt $Params.local_admin_credential.password.Length; $i++) { $text.Append($Params.local_admin_credential.password[$i]) }
        $null = Invoke-Probe 'account' {
            $known = [Fleetmend.LocalAccount]::Read($name)
            # NERR_UserNotFound
            $missing = $known.Error -eq 2221
            if (-not $missing) { Assert-Answer $known }
            # ERROR_ACCESS_DENIED: the operator has allowed the other of the two only.
            $state.code = 5L
            if ($missing -and $Params.create) {
                $state.code = [long][Fleetmend.LocalAccount]::Create($name, $text)
            } elseif (-not $missing -and $Params.replace) {
                $state.code = [long][Fleetmend.LocalAccount]::SetText($name, $text)
            }
            $state.created = $missing -and $state.code -eq 0
        }
    }
    if ($state.code -eq 0) {
        $done = Invoke-Probe 'account' {
            Repair-Account $name ([bool]$Params.enable) ([bool]$Params.add) ([bool]$Params.allow_remote)
        }
        # Once only: a wrong one would count towards a lockout.
        $logon = Invoke-Probe 'logon' { [long][Fleetmend.LocalAccount]::TryLogon($name, $text) }
    }
} finally {
    if ($null -ne $text) { $text.Dispose() }
}
if ($null -eq $done) { $done = @{ flags_error = $null; expiry_error = $null; member_error = $null; remote_allowed = $null } }

[PSCustomObject][ordered]@{
    created = $state.created
    account_error = $state.code
    flags_error = $done.flags_error
    expiry_error = $done.expiry_error
    member_error = $done.member_error
    remote_allowed = $done.remote_allowed
    logon_error = $logon
    probe_errors = $ProbeErrors.ToArray()
}
