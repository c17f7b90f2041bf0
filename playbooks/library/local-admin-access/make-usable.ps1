# Puts a local account that is there in order, as far as the operator allows it: enabled and
# unlocked, without an end, a member of Administrators, with whole rights over the network. Its
# password stays as it is. Run twice it finds nothing more to do.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: make-usable.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include local-account.ps1

$done = Invoke-Probe 'account' {
    Import-LocalAccountApi
    Repair-Account ([string]$Params.account) ([bool]$Params.enable) ([bool]$Params.add) ([bool]$Params.allow_remote)
}
if ($null -eq $done) { $done = @{ flags_error = $null; expiry_error = $null; member_error = $null; remote_allowed = $null } }

[PSCustomObject][ordered]@{
    flags_error = $done.flags_error
    expiry_error = $done.expiry_error
    member_error = $done.member_error
    remote_allowed = $done.remote_allowed
    probe_errors = $ProbeErrors.ToArray()
}
