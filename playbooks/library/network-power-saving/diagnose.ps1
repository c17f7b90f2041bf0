# Tells which network adapters Windows may turn off to save power, and after how long the PC goes
# to sleep on mains. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors, never a failed step; each is bounded
# in time. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include adapters.ps1

# Returns a setting of the power plan in force, on mains, by the setting's GUID.
function Get-PlanValue([string]$Plan, [string]$Setting) {
    $id = 'Microsoft:PowerSettingDataIndex\\' + $Plan + '\\AC\\' + $Setting
    $query = "InstanceID = '" + $id + "'"
    $found = @(Get-CimInstance -Namespace 'root\cimv2\power' -ClassName Win32_PowerSettingDataIndex -Filter $query -OperationTimeoutSec 10)
    # ERROR_NOT_FOUND
    if ($found.Count -ne 1) { throw (New-Object System.ComponentModel.Win32Exception 1168) }
    return [long]$found[0].SettingIndexValue
}

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Where a driver or a Windows tells nothing the registry decides.
$settings = Invoke-Probe 'power' { Get-PowerSettings }
$adapters = Invoke-Probe 'adapters' {
    $list = New-Object System.Collections.ArrayList
    $found = Get-CimInstance -Namespace 'root\StandardCimv2' -ClassName MSFT_NetAdapter -OperationTimeoutSec 20
    foreach ($adapter in @($found)) {
        # Virtual ones have no power of their own.
        if (-not $adapter.HardwareInterface) { continue }
        $guid = ([string]$adapter.DeviceID).ToUpperInvariant()
        $allowed = $null
        if ($null -ne $settings -and $settings.ContainsKey($guid)) {
            # As it comes, for the cmdlets' module would make words of it.
            $allowed = [int]$settings[$guid].CimInstanceProperties['AllowComputerToTurnOffDevice'].Value
        }
        $path = Find-AdapterKey $guid
        $stored = $null
        $capabilities = $null
        if ($null -ne $path) {
            $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($path)
            try { $capabilities = $key.GetValue('PnPCapabilities') } finally { $key.Close() }
            $stored = $null -ne $capabilities -and ($capabilities -band 24) -eq 24
        }
        $may = $allowed -eq 2
        if ($null -eq $allowed) { $may = $stored -ne $true }
        if ($null -ne $capabilities) { $capabilities = [long]$capabilities -band 4294967295 }
        [void]$list.Add([PSCustomObject][ordered]@{
            guid = $guid
            interface_index = [long]$adapter.InterfaceIndex
            # IfOperStatusUp
            up = $adapter.InterfaceOperationalStatus -eq 1
            allowed = $allowed
            capabilities = $capabilities
            stored_off = $stored
            may_power_off = $may
        })
    }
    # As one object, so that a list of one stays a list.
    @{ list = $list.ToArray() }
}
$list = $null
if ($null -ne $adapters) { $list = $adapters.list }

$sleep = [PSCustomObject][ordered]@{ standby_seconds = $null; hibernate_seconds = $null }
$null = Invoke-Probe 'sleep' {
    $plans = @(Get-CimInstance -Namespace 'root\cimv2\power' -ClassName Win32_PowerPlan -Filter 'IsActive = TRUE' -OperationTimeoutSec 10)
    if ($plans.Count -ne 1 -or [string]$plans[0].InstanceID -notmatch '(\{[0-9A-Fa-f-]{36}\})') {
        throw (New-Object System.ComponentModel.Win32Exception 1168)
    }
    $plan = $Matches[1]
    # STANDBYIDLE and HIBERNATEIDLE
    $sleep.standby_seconds = Get-PlanValue $plan '{29f6c1db-86da-48c5-9fdb-f2b67b1f44da}'
    $sleep.hibernate_seconds = Get-PlanValue $plan '{9d7815a6-7ee4-497e-8888-515a05f02364}'
}

[PSCustomObject][ordered]@{
    elevated = $elevated
    adapters = $list
    sleep = $sleep
    probe_errors = $ProbeErrors.ToArray()
}
