# Suspends BitLocker on the volume of Windows for so many restarts, after which Windows puts it back
# by itself; with 0 restarts puts it back now. The volume stays encrypted. Run twice it does the
# same again. Needs probe.ps1 and restart-safety.ps1.

# Returns what the step answers.
function Set-BitLockerPause([int]$Reboots) {
    $code = Invoke-Probe 'bitlocker' {
        $volume = Get-SystemVolume
        # ERROR_FILE_NOT_FOUND
        if ($null -eq $volume) { throw (New-Object System.ComponentModel.Win32Exception 2) }
        if ($Reboots -gt 0) {
            $answer = Invoke-CimMethod -InputObject $volume -MethodName DisableKeyProtectors -Arguments @{ DisableCount = [uint32]$Reboots } -OperationTimeoutSec 30
        } else {
            $answer = Invoke-CimMethod -InputObject $volume -MethodName EnableKeyProtectors -OperationTimeoutSec 30
        }
        [long]$answer.ReturnValue
    }
    $protection = Invoke-Probe 'bitlocker' { Get-BitLockerProtection }
    $wanted = 1
    if ($Reboots -gt 0) { $wanted = 0 }
    return [PSCustomObject][ordered]@{
        done = $code -eq 0 -and $protection -eq $wanted
        code = $code
        protection = $protection
        probe_errors = $ProbeErrors.ToArray()
    }
}
