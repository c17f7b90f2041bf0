# Suspends BitLocker on the volume of Windows for so many restarts, after which Windows puts it back
# by itself; with 0 restarts puts it back now. The volume stays encrypted. Run twice it does the
# same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: suspend-bitlocker.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include restart-safety.ps1

$code = Invoke-Probe 'bitlocker' {
    $volume = Get-SystemVolume
    # ERROR_FILE_NOT_FOUND
    if ($null -eq $volume) { throw (New-Object System.ComponentModel.Win32Exception 2) }
    if ([int]$Params.reboots -gt 0) {
        $answer = Invoke-CimMethod -InputObject $volume -MethodName DisableKeyProtectors -Arguments @{ DisableCount = [uint32]$Params.reboots } -OperationTimeoutSec 30
    } else {
        $answer = Invoke-CimMethod -InputObject $volume -MethodName EnableKeyProtectors -OperationTimeoutSec 30
    }
    [long]$answer.ReturnValue
}
$protection = Invoke-Probe 'bitlocker' { Get-BitLockerProtection }

$wanted = 1
if ([int]$Params.reboots -gt 0) { $wanted = 0 }
[PSCustomObject][ordered]@{
    done = $code -eq 0 -and $protection -eq $wanted
    code = $code
    protection = $protection
    probe_errors = $ProbeErrors.ToArray()
}
