# Makes sure, before the PC leaves its domain, that the local administrator whom the operator gave
# can log on: makes or enables the account, makes it a member of Administrators, and gives it the
# operator's password unless it has that already. Run twice it does the same again.
#
# The password comes as data on standard input and is touched by methods only, character by
# character: module logging (event 4103) would write down the argument of a cmdlet, and script
# block logging (4104) sees this text alone.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: ensure-admin.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include local-account.ps1

$parts = @([string]$Params.account.user -split '\\')
$name = $parts[-1]
$here = $parts.Count -eq 1 -or ($parts.Count -eq 2 -and @('.', $env:COMPUTERNAME) -contains $parts[0])

$state = [PSCustomObject][ordered]@{ code = $null; created = $null; replaced = $null }
$done = $null
$logon = $null
$text = $null
try {
    $text = Invoke-Probe 'account' {
        Import-LocalAccountApi
        # ERROR_INVALID_PARAMETER. An empty one lets nobody in over the network.
        if ($Params.account.password.Length -lt 1 -or $Params.account.password.Length -gt 127) {
            throw (New-Object System.ComponentModel.Win32Exception 87)
        }
        New-Object Fleetmend.AccountText 127
    }
    if ($null -ne $text) {
        for ($i = 0; $i -lt $Params.account.password.Length; $i++) { $text.Append($Params.account.password[$i]) }
        $null = Invoke-Probe 'account' {
            # ERROR_INVALID_ACCOUNT_NAME: one of a domain is no help where the domain is gone.
            $state.code = 1315L
            if ($here -and $name -match '^[^@]+\z') {
                $known = [Fleetmend.LocalAccount]::Read($name)
                # NERR_UserNotFound
                if ($known.Error -eq 2221) {
                    $state.code = [long][Fleetmend.LocalAccount]::Create($name, $text)
                    $state.created = $state.code -eq 0
                    $state.replaced = $state.created
                } else {
                    Assert-Answer $known
                    $state.created = $false
                    $state.replaced = $false
                    $state.code = 0L
                }
            }
        }
    }
    if ($state.code -eq 0) {
        $done = Invoke-Probe 'account' { Repair-Account $name $true $true $false }
        $logon = Invoke-Probe 'logon' { [long][Fleetmend.LocalAccount]::TryLogon($name, $text) }
        # ERROR_LOGON_FAILURE, ERROR_PASSWORD_EXPIRED, ERROR_PASSWORD_MUST_CHANGE: it has another.
        if (@(1326, 1330, 1907) -contains $logon) {
            $state.code = Invoke-Probe 'account' { [long][Fleetmend.LocalAccount]::SetText($name, $text) }
            if ($state.code -eq 0) {
                $state.replaced = $true
                $logon = Invoke-Probe 'logon' { [long][Fleetmend.LocalAccount]::TryLogon($name, $text) }
            }
        }
    }
} finally {
    if ($null -ne $text) { $text.Dispose() }
}
if ($null -eq $done) { $done = @{ flags_error = $null; expiry_error = $null; member_error = $null } }

[PSCustomObject][ordered]@{
    usable = $state.code -eq 0 -and $logon -eq 0 -and $done.member_error -eq 0
    account_error = $state.code
    created = $state.created
    replaced = $state.replaced
    flags_error = $done.flags_error
    expiry_error = $done.expiry_error
    member_error = $done.member_error
    logon_error = $logon
    probe_errors = $ProbeErrors.ToArray()
}
