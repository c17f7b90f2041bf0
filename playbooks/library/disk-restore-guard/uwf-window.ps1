# Opens a window in which changes stay: switches the Unified Write Filter off from the next start on,
# and remembers on the disk itself that it is to be switched on again. Or closes it: switches the
# filter on from the next start on. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: uwf-window.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include uwf.ps1

$open = [bool]$Params.open
$filtering = Invoke-Probe 'window' {
    $filters = @(Get-UwfObjects 'UWF_Filter')
    # ERROR_NOT_SUPPORTED
    if ($filters.Count -eq 0) { throw (New-Object System.ComponentModel.Win32Exception 50) }
    $filter = $filters[0]
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($GuardKey)
    try {
        if ($open) {
            # Before the filter goes off: what is not known is not put back.
            $key.SetValue('SwitchUwfOn', 1, [Microsoft.Win32.RegistryValueKind]::DWord)
            $key.Flush()
            if ($filter.CurrentEnabled) { Save-ThroughUwf $GuardKey 'SwitchUwfOn' }
            if ($filter.NextEnabled) { Assert-Uwf (Invoke-CimMethod -InputObject $filter -MethodName Disable -OperationTimeoutSec 15) }
        } else {
            if (-not $filter.NextEnabled) { Assert-Uwf (Invoke-CimMethod -InputObject $filter -MethodName Enable -OperationTimeoutSec 15) }
            # Opened and closed without a restart in between, the disk remembers it still.
            if ($filter.CurrentEnabled -and $null -ne $key.GetValue('SwitchUwfOn')) { Remove-ThroughUwf $GuardKey 'SwitchUwfOn' }
            $key.DeleteValue('SwitchUwfOn', $false)
            $key.Flush()
        }
    } finally {
        $key.Close()
    }
    [bool]$filter.CurrentEnabled
}
$next = Invoke-Probe 'window' {
    $filters = @(Get-UwfObjects 'UWF_Filter')
    if ($filters.Count -gt 0) { [bool]$filters[0].NextEnabled }
}

[PSCustomObject][ordered]@{
    done = $ProbeErrors.Count -eq 0 -and $null -ne $next -and $next -ne $open
    restart_needed = $filtering -eq $true
    enabled_next = $next
    probe_errors = $ProbeErrors.ToArray()
}
